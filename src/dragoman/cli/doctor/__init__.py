"""`dragoman doctor`: one module per family of checks; it finds and explains, and never repairs."""
