"""Password hashes that we read: our own, and those brought along from elsewhere; one file per family."""
