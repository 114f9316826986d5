"""Inserting jobs in the transaction of their fact, and publishing their pointers on commit."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from khaacho import logs, sql
from khaacho.broker import Pointer, publish
from khaacho.jobs import kinds

ENQUEUE = """
INSERT INTO jobs
    (queue, kind, args, reference, dedupe_key, slot, priority, request_id, user_id, run_after,
     published_at)
VALUES
    (%(queue)s, %(kind)s, %(args)s, %(reference)s, %(dedupe_key)s, %(slot)s, %(priority)s,
     %(request_id)s, %(user_id)s, statement_timestamp() + %(delay)s,
     CASE WHEN %(delay)s = interval '0' THEN statement_timestamp() END)
"""
# A running job does not see what is committed after it began: it runs once more. A waiting one does.
COALESCE = """
ON CONFLICT (dedupe_key) WHERE state IN ('queued', 'running') DO UPDATE SET
    rerun = jobs.state = 'running',
    coalesced = jobs.coalesced + 1,
    priority = greatest(jobs.priority, EXCLUDED.priority),
    run_after = CASE
        WHEN jobs.state = 'running' AND NOT jobs.rerun THEN EXCLUDED.run_after
        WHEN jobs.state = 'running' OR jobs.attempts = 0
            THEN least(jobs.run_after, EXCLUDED.run_after)
        ELSE jobs.run_after
    END
RETURNING id, xmax = 0
"""
ONCE_PER_SLOT = "ON CONFLICT (kind, slot) WHERE slot IS NOT NULL DO NOTHING RETURNING id, true"


def enqueue(
    kind: str,
    args: dict[str, Any] | None = None,
    *,
    reference: str = "",
    dedupe_key: str | None = None,
    delay: timedelta = timedelta(0),
    slot: datetime | None = None,
    priority: int = 0,
) -> int | None:
    """Insert one job in the caller's transaction and publish its pointer on commit; return its id.

    An open job with the same `dedupe_key` keeps its args and is returned instead; if it is running
    already, it runs once more. None when the `slot` was taken before; a slot and a key exclude each
    other. A `priority` above 0 overtakes what waits, one below 0 lets it pass. One statement; job rows
    are locked last of all.
    Raises TransactionManagementError outside a transaction, KeyError for an unknown kind.
    """
    _require_transaction()
    if slot and dedupe_key:
        raise ValueError("a job has a slot or a dedupe key, not both")
    queue = kinds.known[kind].queue.value
    row = sql.fetch_one(
        ENQUEUE + (ONCE_PER_SLOT if slot else COALESCE),
        {
            "queue": queue,
            "kind": kind,
            "args": Jsonb(args or {}),
            "reference": reference,
            "dedupe_key": dedupe_key,
            "slot": slot,
            "priority": priority,
            "request_id": logs.request_id.get(),
            "user_id": logs.asker(),
            "delay": delay,
        },
    )
    if row is None:
        return None
    job_id, inserted = row
    if not delay and (inserted or priority > 0):
        publish_on_commit([pointer(job_id, queue, kind, priority)])
    return int(job_id)


class NewJob(NamedTuple):
    """Work to insert. A `dedupe_key` here is one that no open job can have: of a row just made."""

    kind: str
    args: dict[str, Any]
    reference: str = ""
    dedupe_key: str | None = None


# Also a part of the statement that writes the fact: bind `parameters`, then `announce` what it returns.
INSERT_MANY = (
    "INSERT INTO jobs"
    " (queue, kind, args, reference, dedupe_key, request_id, user_id, run_after, published_at)"
    " SELECT q, k, a, r, d, %(job_request_id)s, %(job_user_id)s::bigint,"
    " statement_timestamp(), statement_timestamp()"
    " FROM unnest(%(job_queues)s::text[], %(job_kinds)s::text[], %(job_args)s::jsonb[],"
    " %(job_references)s::text[], %(job_keys)s::text[]) AS j (q, k, a, r, d)"
    " RETURNING id"
)


def parameters(new: Sequence[NewJob]) -> dict[str, Any]:
    """Return what INSERT_MANY binds. Raises KeyError for an unknown kind."""
    return {
        "job_request_id": logs.request_id.get(),
        "job_user_id": logs.asker(),
        "job_queues": [kinds.known[job.kind].queue.value for job in new],
        "job_kinds": [job.kind for job in new],
        "job_args": [json.dumps(job.args) for job in new],
        "job_references": [job.reference for job in new],
        "job_keys": [job.dedupe_key for job in new],
    }


def announce(new: Sequence[NewJob], ids: Iterable[int]) -> None:
    """Publish on commit the pointers of jobs that INSERT_MANY inserted; `ids` in their order."""
    publish_on_commit(
        [
            pointer(job_id, kinds.known[job.kind].queue.value, job.kind)
            for job, job_id in zip(new, ids, strict=True)
        ]
    )


def enqueue_many(kind_args: list[tuple[str, dict[str, Any], str]]) -> None:
    """Insert jobs `(kind, args, reference)` without dedupe keys in one statement; publish on commit.

    Raises TransactionManagementError outside a transaction, KeyError for an unknown kind.
    """
    insert([NewJob(*each) for each in kind_args])


def insert(new: Sequence[NewJob]) -> None:
    """Insert jobs in one statement, none for none; publish on commit. Raises as `enqueue_many`."""
    _require_transaction()
    if new:
        announce(new, [row[0] for row in sql.fetch(INSERT_MANY, parameters(new))])


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("a job belongs to the transaction of its fact")


def pointer(job_id: int, queue: str, kind: str, priority: int = 0) -> Pointer:
    """Return what the broker carries of a job."""
    return Pointer(job_id, queue, *kinds.limits_of(kind, queue), priority)


def publish_on_commit(pointers: Sequence[Pointer]) -> None:
    def wake() -> None:
        publish(pointers)  # what the broker does not take, the sweep publishes

    if pointers:
        transaction.on_commit(wake, robust=True)
