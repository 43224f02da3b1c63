"""The author's side: what a bot is made of."""
