"""One folder an outside service."""
