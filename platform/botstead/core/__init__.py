"""Words that every part shares: messages, errors, ports, settings, clock. Pure: imports nothing of ours."""
