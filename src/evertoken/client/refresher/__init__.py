"""What the client decides, without doing any of it: no clock, no socket, no lock."""
