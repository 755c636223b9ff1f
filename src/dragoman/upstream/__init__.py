"""Edge: clients of Responses servers."""
