"""Measures the product beside its peer, in one run: `python -m benchmarks`.

A scenario opens kernels of both kinds, takes samples in turn, and returns figures. stats.py sums samples up,
report.py writes them down; nobody judges them. The broker is not imported here, but used as users use it.
`python -m benchmarks.state` measures the state engine beside its peers, and does judge.
"""
