"""Markdown for every channel."""
