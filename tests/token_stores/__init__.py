"""The token stores of the Python client: one compliance class, inherited by each, and what only one of them does."""
