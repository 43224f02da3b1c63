"""One folder a chat network: bytes in, calls out."""
