"""What requests cost and what a key may use: pure arithmetic."""
