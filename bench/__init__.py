"""What evertoken costs, measured: `python -m bench` prints one table. Never part of a test; see README.md."""
