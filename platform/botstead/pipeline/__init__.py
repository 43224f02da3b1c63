"""The road of a message, from the durable inbox to the provider."""
