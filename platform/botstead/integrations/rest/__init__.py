"""REST services that a bot declares, see README.md."""
