"""The broker as seen by its clients: HTTP, streams that re-attach, typed errors. The only room with httpx."""
