"""evertoken store: the place where everything is kept, as a whole."""
