"""The pages, and the browser client as this server serves it."""
