"""The shipped double of a payment provider: a page of our own, on which no money moves."""
