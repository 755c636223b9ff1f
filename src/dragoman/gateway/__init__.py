"""One request's life: admit, choose, send, stream, settle. Async; knows ports only."""
