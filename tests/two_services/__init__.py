"""examples/two_services: the issuer and a second service, each a process of its own."""
