"""The service: a pool of workers that run notebook cells, behind HTTP, with every state in a store."""

__version__ = "0.1.0"
