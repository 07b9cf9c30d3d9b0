"""
The history of the tables, as Alembic keeps it.

A step must leave the tables such that the version of evertoken before it goes on working: add, fill, and remove only
what no running version reads. Steps run while others serve, so none may rewrite or lock a big table for long. They go
forward only, so none has a `downgrade`: an older evertoken refuses newer tables.
"""
