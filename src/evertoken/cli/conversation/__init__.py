"""Plays the conversation of a dialect against a running API, for `evertoken dialect check`."""
