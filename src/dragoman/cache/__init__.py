"""Care of the upstream prompt cache: who is speaking, what was sent, why a turn missed. Pure."""
