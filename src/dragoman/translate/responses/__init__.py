"""Responses in, Responses out: what has to change on the way, and what is only looked at."""
