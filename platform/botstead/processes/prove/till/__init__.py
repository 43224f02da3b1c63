"""A till that remembers: the part of Stripe's API that payments need, as a process of its own. See `__main__` and `api`."""
