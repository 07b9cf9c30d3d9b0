"""Other APIs' ways to sign in, refresh and sign out, over the same sessions: dialects, served."""
