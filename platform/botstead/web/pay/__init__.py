"""The page that people pay at with the shipped double, and that they come back to from a real provider."""
