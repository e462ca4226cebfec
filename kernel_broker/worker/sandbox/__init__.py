"""What shuts a worker in: layers of the kernel's, put on after the fork and before any code of a user's.

Needs no privilege. Everything that costs is prepared once, in the zygote. Standard library only: it also
runs by itself, to find out what a kernel gives (`python -m kernel_broker.worker.sandbox`).
"""
