"""ZMQ sockets on the front end's side, HTTP to the broker on the other: one `Bridge` a kernel."""
