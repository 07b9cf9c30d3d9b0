"""Refreshes over HTTP beside those of other libraries: the same work, each on its own server, with the same promise."""
