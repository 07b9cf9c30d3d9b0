"""Every setting: what it is, how its text is read, where it comes from."""

from evertoken.edge.settings.definitions import LEAST_ANNOUNCE_SECONDS, Definition, Settings, definitions, milliseconds

__all__ = ["LEAST_ANNOUNCE_SECONDS", "Definition", "Settings", "definitions", "milliseconds"]
