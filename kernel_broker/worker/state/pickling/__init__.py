"""Objects to bytes and back: the pickler with its reducers, and what rebuilds objects."""
