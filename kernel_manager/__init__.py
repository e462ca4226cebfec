"""The client side: the Jupyter provisioner and its bridge, the SDK, and the command line."""
