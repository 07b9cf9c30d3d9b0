"""The client's own HTTP against real sockets: servers that lie, drip, break off and never stop."""
