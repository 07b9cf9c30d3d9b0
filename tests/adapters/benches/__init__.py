"""One bench per HTTP library: how a test makes a client of it, sends a request and reads the answer."""
