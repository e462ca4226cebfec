"""The broker's Prometheus metrics, all in one place."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

RUNS = Counter("serverless_kernel_runs", "Runs ended, by outcome", ["status"], registry=REGISTRY)
RUN_SECONDS = Histogram(
    "serverless_kernel_run_seconds",
    "Time from a run's acceptance to its end",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
AMENDMENTS = Counter(
    "serverless_kernel_amendments",
    "Commits made between runs, of changes that the quick look after the run missed or that came later",
    registry=REGISTRY,
)
GIVEN_UP = Counter(
    "serverless_kernel_verifications_given_up",
    "Looks at the whole state of an idle session that a request cut short",
    registry=REGISTRY,
)
SESSIONS = Gauge("serverless_kernel_sessions", "Sessions at this pod, by state", ["state"], registry=REGISTRY)
WORKERS = Gauge("serverless_kernel_workers", "Workers of this pod, by use", ["use"], registry=REGISTRY)
