"""Opaque bytes under keys, leases, compare-and-set. Never decodes what it holds.

`contract` says what a store must do; `sqlite` is the embedded one, `redis` the shared one.
"""
