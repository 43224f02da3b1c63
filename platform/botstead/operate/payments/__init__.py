"""Money: asking for it, hearing of it, asking after it, giving it back. Never twice, never lost."""
