"""Edge: logs and metrics, with redaction."""
