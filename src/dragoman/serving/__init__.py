"""Composition: what a process that serves is made of, and what it keeps true while it runs."""
