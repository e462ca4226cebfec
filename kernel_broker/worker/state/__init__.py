"""The state engine: what a session is, as bytes."""
