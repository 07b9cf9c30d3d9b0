"""Rotation: the decision table, row by row, and the explorer that walks every interleaving over it."""
