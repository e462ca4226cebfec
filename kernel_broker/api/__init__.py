"""HTTP in, calls out; no decisions."""
