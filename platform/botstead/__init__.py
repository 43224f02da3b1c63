"""Botstead runs bots in production. Authors import everything from here."""
