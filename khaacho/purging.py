"""Nightly deletion of what is kept no longer, in batches that commit: no lock is long, no work is lost.

The newest job of each schedule stays for ever: while its row is there its slot cannot run again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from khaacho import jobs, sql
from khaacho.enums import JobState
from khaacho.jobs import Claim

KIND = "khaacho.purge"
BATCH = 5_000  # rows of one transaction: about 50 ms
DAY = timedelta(days=1)
KEPT_DONE, KEPT_DEAD = 7 * DAY, 90 * DAY
KEPT_FAILURES = 7 * DAY  # of signing in: they count for minutes, people look at them for days
KEPT_NODES = DAY


@dataclass(frozen=True)
class Part:
    """Rows of one table that may go: `condition` with its parameters, oldest first along an index."""

    name: str
    table: str
    condition: str
    order: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def delete(self, limit: int) -> int:
        """Delete up to `limit` rows in one statement; return how many."""
        return sql.execute(
            f"DELETE FROM {self.table} WHERE id = ANY (ARRAY(SELECT id FROM {self.table} t"
            f" WHERE {self.condition} ORDER BY {self.order} LIMIT %(limit)s FOR UPDATE SKIP LOCKED))",
            {**self.params, "limit": limit},
        )

    def count(self) -> int:
        row = sql.fetch_one(
            f"SELECT count(*) FROM {self.table} t WHERE {self.condition}", self.params
        )
        assert row
        return int(row[0])


def _finished(state: JobState, kept: timedelta) -> Part:
    return Part(
        name=f"{state.value} jobs",
        table="jobs",
        condition="state = %(state)s AND finished_at < statement_timestamp() - %(kept)s"
        " AND (slot IS NULL OR slot <"
        " (SELECT max(later.slot) FROM jobs later WHERE later.kind = t.kind))",
        order="finished_at",
        params={"state": state.value, "kept": kept},
    )


KEPT = {
    JobState.DONE: KEPT_DONE,
    JobState.CANCELLED: KEPT_DONE,
    JobState.DEAD: KEPT_DEAD,
}


def _own() -> list[Part]:
    return [
        *(_finished(state, kept) for state, kept in KEPT.items()),
        Part(
            name="idempotency keys",
            table="idempotency_keys",
            condition="created_at < statement_timestamp() - %(kept)s",
            order="created_at",
            params={"kept": settings.IDEMPOTENCY_RETENTION},
        ),
        # A revoked token speaks for the others of its family as long as one of them could be used.
        Part(
            name="refresh tokens",
            table="refresh_tokens",
            condition="expires_at < statement_timestamp() AND (revoked_at IS NULL OR"
            " (SELECT max(r.expires_at) FROM refresh_tokens r WHERE r.family = t.family)"
            " < statement_timestamp())",
            order="expires_at",
        ),
        Part(
            name="sign-in failures",
            table="sign_in_failures",
            condition="created_at < statement_timestamp() - %(kept)s",
            order="created_at",
            params={"kept": KEPT_FAILURES},
        ),
        Part(
            name="dead worker nodes",
            table="worker_nodes",
            condition="concurrency > 0 AND seen_at < statement_timestamp() - %(kept)s",
            order="seen_at",
            params={"kept": KEPT_NODES},
        ),
    ]


_more: dict[str, Callable[[], Part]] = {}


def register(name: str, part: Callable[[], Part]) -> None:
    """Have rows of an app above purged too; called from AppConfig.ready()."""
    if _more.setdefault(name, part) is not part:
        raise ValueError(f"two purges are called {name}")


def parts() -> Sequence[Part]:
    """Return everything that is purged, in order."""
    return [*_own(), *(part() for part in _more.values())]


def run(batch: int = BATCH) -> Iterator[tuple[Part, int, int]]:
    """Delete what may go; yield after each batch its part, what went, and per cent of the parts done.

    Outside a transaction each batch commits by itself.
    """
    every = parts()
    for number, part in enumerate(every):
        deleted = batch
        while deleted == batch:
            deleted = part.delete(batch)
            yield part, deleted, 100 * (number + (deleted < batch)) // len(every)


def purge(*, claim: Claim) -> None:
    """The job of the night. What is left when it is interrupted, the next attempt deletes."""
    for _, _, percent in run():
        jobs.report_progress(claim, percent)
