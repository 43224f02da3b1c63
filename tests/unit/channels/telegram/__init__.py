"""The Telegram channel, its pure part."""
