"""The guards of the frameworks, each in an application of its framework on a real socket."""
