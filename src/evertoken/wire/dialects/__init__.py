"""How one API spells the conversation: where tokens go, how the calls look, what "expired" and "over" look like."""
