"""Workers seen from outside: fork, hand over, prewarm, kill. Knows no session rules."""
