"""State that lives beside the namespace: of the process, of IPython, of libraries."""
