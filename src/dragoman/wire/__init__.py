"""What travels, as it is on the wire. Pure: no IO, no clock, no loop."""
