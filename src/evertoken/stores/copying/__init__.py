"""Reading and writing a whole store, whichever engine keeps it: for moving it to another, and for looking at it."""
