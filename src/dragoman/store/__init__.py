"""The store: what outlives a process, on SQLite or PostgreSQL, beside the request path and never on it."""
