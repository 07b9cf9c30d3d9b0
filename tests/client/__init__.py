"""The session itself, whatever sends the requests."""
