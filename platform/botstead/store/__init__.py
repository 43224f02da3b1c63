"""Durable state, and the only home of SQL, Piccolo, asyncpg and Valkey."""
