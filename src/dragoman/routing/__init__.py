"""Which account serves a request: what is left of each, how it is doing, who is next. Pure."""
