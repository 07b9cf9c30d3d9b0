"""A store that holds millions of sessions: what each weighs, and whether everything still goes as on an empty one."""
