"""One suite of promises, kept by every adapter over real sockets: each `test_<library>.py` runs all of it."""
