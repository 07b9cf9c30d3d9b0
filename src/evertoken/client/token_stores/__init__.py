"""Where the client keeps tokens."""
