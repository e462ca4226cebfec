"""Decides: ownership, turns, runs, commits, expiry. Touches no socket, no redis, no HTTP."""
