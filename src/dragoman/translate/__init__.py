"""One dialect into the other. Pure and idempotent: a retry on another account calls it again."""
