"""One module a scenario; each has `measure`, which returns a section of the report."""
