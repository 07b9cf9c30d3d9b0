"""What becomes of a session where refreshing gets hard: with evertoken's clients, and with other people's."""
