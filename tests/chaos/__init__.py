"""A bad network between many processes that share one session, and the real server."""
