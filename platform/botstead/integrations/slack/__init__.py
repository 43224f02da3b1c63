"""Posts into Slack, see README.md."""
