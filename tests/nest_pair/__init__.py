"""examples/nest_pair: a server in the manner of a Nest service, as its README starts it."""
