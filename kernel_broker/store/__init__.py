"""Opaque bytes under keys, leases, compare-and-set. Never decodes what it holds.

`contract` says what a store must do; `sqlite` is the embedded one, `redis_store` the shared one (`redis` its
connection, `session.lua` what it does inside Redis); `open` turns a URL into either.
"""
