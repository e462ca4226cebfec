"""The vocabulary that broker, worker and manager share: ids, frames, messages, events, problems.

Standard library only, and no I/O: bytes in, values out.
"""
