"""
The history of the tables, as Alembic keeps it.

A step must leave the tables such that the version of evertoken before it goes on working: add, fill, and remove only
what no running version reads. Steps run while others serve, so none may rewrite or lock a big table for long. They go
forward only, so none has a `downgrade`: an older evertoken refuses newer tables.

MySQL commits each statement that changes tables on its own, so a step may have died half-way. It is run again from its
beginning: every statement must do nothing where it has been done before (IF NOT EXISTS, INSERT IGNORE).

In a step, [sessions] is our table of that name, with the installation's prefix, and COLLATION the server's.
"""
