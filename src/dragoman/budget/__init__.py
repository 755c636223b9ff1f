"""What a request costs, and what a client key may still use. Pure: times and figures come in as arguments."""
