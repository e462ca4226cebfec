"""Who asks: one file for each way to tell, and the door. What callers may do is not decided here."""
