"""The author's commands, as whole processes."""
