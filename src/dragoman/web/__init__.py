"""Edge: the HTTP doors."""
