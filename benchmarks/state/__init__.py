"""Measures how state is saved and brought back, beside what else does it: `python -m benchmarks.state`.

`subject` runs in a process of its own for every sample of a first commit: a shell, our engine on it, and the
peers (dill, cloudpickle, hash-everything) on the same variables. `kishu_side` does the same cells in an
environment of its own, because Kishu pins other versions. The other modules drive whole kernels through the
SDK and jupyter_client. `targets` holds every promise with its number; `verdict` reads them against the run.
"""
