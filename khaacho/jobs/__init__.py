"""Work done later: PostgreSQL remembers it, Celery does it (docs/jobs.md).

A row of `jobs` is inserted in the business transaction (`enqueueing`). On commit a Celery message that
only points at the row is published, best effort. A worker claims the row by lease and fence; the effect
and `done` commit in one transaction guarded by the fence (`running`). The sweep publishes again what
was lost (`sweeping`). PostgreSQL's clock is the only clock: statement_timestamp(), since now() stands
still in a transaction that enqueues and claims.
"""

from khaacho.broker import publish
from khaacho.jobs.enqueueing import (
    INSERT_MANY,
    NewJob,
    announce,
    enqueue,
    enqueue_many,
    insert,
    parameters,
)
from khaacho.jobs.kinds import NAME_MAX, Kind, register, registered
from khaacho.jobs.nodes import Node, live_nodes, sweep_last_run_seconds
from khaacho.jobs.queues import QUEUES, QueueRule
from khaacho.jobs.running import (
    Claim,
    claim_next,
    give_back,
    perform,
    report_progress,
    run,
    run_due,
)
from khaacho.jobs.sweeping import SWEEP_LOCK, sweep

__all__ = [
    "INSERT_MANY",
    "NAME_MAX",
    "QUEUES",
    "SWEEP_LOCK",
    "Claim",
    "Kind",
    "NewJob",
    "Node",
    "QueueRule",
    "announce",
    "claim_next",
    "enqueue",
    "enqueue_many",
    "give_back",
    "insert",
    "live_nodes",
    "parameters",
    "perform",
    "publish",
    "register",
    "registered",
    "report_progress",
    "run",
    "run_due",
    "sweep",
    "sweep_last_run_seconds",
]
