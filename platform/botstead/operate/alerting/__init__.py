"""Alerts: conditions that somebody must hear of, the rules made of them, and who hears."""
