"""The web chat over HTTP: its page, what a visitor posts, and the stream of what is said."""
