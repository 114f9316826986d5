"""What rules watch: each measure reads its values now, one for each thing it is about.

A reading is compared with the thresholds of its measure's rules (rules.py). What cannot be read raises
Unavailable of monitoring/database/access.py, or OSError: never a value that looks well.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from khaacho.enums import Queue
from khaacho.jobs import QUEUES
from khaacho.money import lakh
from monitoring import durations, queues
from monitoring.backups import records
from monitoring.database import access
from monitoring.enums import RuleMeasure
from monitoring.history import regressions
from monitoring.history.models import ReleaseMarker
from monitoring.sources import selectors

LATELY = timedelta(minutes=10)  # in which requests are counted, widened to whole spans of five
FEW_REQUESTS, FEW_JOBS = 50, 20  # of fewer a share says nothing
MOST = 20  # readings of one measure that may raise alerts at once

LAG = """
SELECT application_name, state, coalesce(extract(epoch FROM replay_lag), 0)::float8 AS seconds
FROM pg_stat_replication ORDER BY seconds DESC LIMIT 20
"""
CONNECTIONS = """
SELECT coalesce(sum(connections), 0)::int AS used,
    max(max_connections - reserved_connections) AS room
FROM monitor.connections
"""
IDS = """
SELECT datname, greatest(xid_pct, mxid_pct)::float8 AS pct FROM monitor.wraparound
ORDER BY pct DESC, datname LIMIT 1
"""
BLOCKED = """
SELECT extract(epoch FROM w.waiting_for)::float8 AS seconds, w.pid, w.root, w.waiting_on,
    r.application_name, r.usename
FROM monitor.blocking_tree w LEFT JOIN monitor.blocking_tree r ON r.pid = w.root AND r.depth = 0
WHERE w.depth > 0 AND w.waiting_for IS NOT NULL AND w.datname = current_database()
ORDER BY seconds DESC LIMIT 1
"""


@dataclass(frozen=True)
class Reading:
    """A value in its measure's unit and a sentence about it; the entity says of what, '' of the whole."""

    value: float
    says: str
    entity_type: str = ""
    entity_id: int = 0


class Sight:
    """What several measures of one look share, read once."""

    @cached_property
    def queues(self) -> list[queues.QueueFigures]:
        return queues.overview().queues


def _requests_failed(sight: Sight) -> Iterable[Reading]:
    rows = selectors.routes(timezone.now() - LATELY, timezone.now())
    asked, failed = sum(row.requests for row in rows), sum(row.errors for row in rows)
    if asked >= FEW_REQUESTS:
        worst = max(rows, key=lambda row: row.errors)
        yield Reading(
            100 * failed / asked,
            f"{lakh(failed)} of {lakh(asked)} requests failed in the last 10 minutes,"
            f" most at {worst.method} {worst.name} ({lakh(worst.errors)})",
        )


def _request_p95(sight: Sight) -> Iterable[Reading]:
    now = timezone.now()
    counts = durations.added(selectors.request_buckets(now - LATELY, now))
    if sum(counts.values()) < FEW_REQUESTS:
        return
    found = durations.percentile(counts, 0.95)
    if found is not None:
        yield Reading(
            found / 1000,
            f"5 % of {lakh(sum(counts.values()))} requests took over {found / 1000:.0f} ms"
            " in the last 10 minutes",
        )


def _of_queues(
    sight: Sight,
    value: Callable[[queues.QueueFigures], float | None],
    says: Callable[[queues.QueueFigures], str],
) -> Iterable[Reading]:
    for each in sight.queues:
        found = value(each)
        if found is not None:
            number = QUEUES[Queue(each.queue)].number
            paused = " (it is paused)" if each.paused else ""
            yield Reading(found, f"{each.name}{paused}: {says(each)}", "queue", number)


def _failed_share(each: queues.QueueFigures) -> float | None:
    tried = each.completed_1h + each.failed_1h
    return 100 * each.failed_1h / tried if tried >= FEW_JOBS else None


def _jobs_failed(sight: Sight) -> Iterable[Reading]:
    return _of_queues(
        sight,
        _failed_share,
        lambda q: (
            f"{lakh(q.failed_1h)} jobs failed in the last hour, {lakh(q.completed_1h)} were done"
        ),
    )


def _queue_waiting(sight: Sight) -> Iterable[Reading]:
    return _of_queues(sight, lambda q: q.waiting, lambda q: f"{lakh(q.waiting)} jobs wait")


def _queue_oldest(sight: Sight) -> Iterable[Reading]:
    return _of_queues(
        sight,
        lambda q: q.oldest_waiting_seconds,
        lambda q: f"a job has waited for {lakh(int(q.oldest_waiting_seconds))} s",
    )


def _jobs_dead(sight: Sight) -> Iterable[Reading]:
    return _of_queues(sight, lambda q: q.dead, lambda q: f"{lakh(q.dead)} jobs are dead")


def _statement_slower(sight: Sight) -> Iterable[Reading]:
    marker = ReleaseMarker.objects.order_by("-released_at").first()
    if marker is None:
        return
    for each in regressions.regressions(marker)[:MOST]:
        if each.factor is not None:
            yield Reading(
                each.factor,
                f"since {marker.name} a statement takes {each.after.mean_ms:.1f} ms instead of"
                f" {each.before.mean_ms:.1f}: {' '.join(each.text.split())}",
                "statement",
                each.queryid,
            )


def _replication_lag(sight: Sight) -> Iterable[Reading]:
    rows = access.fetch_dicts(LAG)
    if rows:
        worst = rows[0]
        yield Reading(
            worst["seconds"],
            f"replica {worst['application_name'] or '(unnamed)'} ({worst['state']})"
            f" is {worst['seconds']:.0f} s behind",
        )


def _disk_used(sight: Sight) -> Iterable[Reading]:
    for number, path in enumerate(settings.WATCHED_DISKS, start=1):
        room = shutil.disk_usage(Path(path))
        used = 100 * (1 - room.free / (room.used + room.free))
        yield Reading(
            used,
            f"{path}: {room.free / 2**30:.1f} of {room.total / 2**30:.1f} GiB are free",
            "disk",
            number,
        )


def _ids_used(sight: Sight) -> Iterable[Reading]:
    for row in access.fetch_dicts(IDS):
        yield Reading(row["pct"], f"database {row['datname']} has used {row['pct']:.0f} %")


def _connections_used(sight: Sight) -> Iterable[Reading]:
    [row] = access.fetch_dicts(CONNECTIONS)
    yield Reading(
        100 * row["used"] / row["room"],
        f"{row['used']} of {row['room']} connections of PostgreSQL are used",
    )


def _blocked(sight: Sight) -> Iterable[Reading]:
    for row in access.fetch_dicts(BLOCKED):
        who = row["application_name"] or row["usename"] or "unknown"
        yield Reading(
            row["seconds"],
            f"session {row['pid']} has waited {row['seconds']:.0f} s for {row['waiting_on'] or 'a lock'};"
            f" at the root is {row['root']} ({who})",
        )


def _backup_age(sight: Sight) -> Iterable[Reading]:
    if settings.BACKUP_DIR:
        backup, _, possible = records.ages()
        yield _age(backup, possible, 3600, "h", "backup was made")


def _drill_age(sight: Sight) -> Iterable[Reading]:
    if settings.BACKUP_DIR:
        _, drill, possible = records.ages()
        yield _age(drill, possible, 86_400, "days", "drill restored a backup")


def _age(seconds: float | None, possible: float | None, of: int, unit: str, what: str) -> Reading:
    """Return an age; of what never was, since when it could have been."""
    if seconds is None:
        return Reading(
            (possible or 0) / of, f"no {what} yet: manage.py backup, manage.py verify_backup"
        )
    return Reading(seconds / of, f"the last {what} {seconds / of:.1f} {unit} ago")


MEASURES: Mapping[RuleMeasure, Callable[[Sight], Iterable[Reading]]] = {
    RuleMeasure.REQUESTS_FAILED: _requests_failed,
    RuleMeasure.REQUEST_P95: _request_p95,
    RuleMeasure.JOBS_FAILED: _jobs_failed,
    RuleMeasure.QUEUE_WAITING: _queue_waiting,
    RuleMeasure.QUEUE_OLDEST: _queue_oldest,
    RuleMeasure.JOBS_DEAD: _jobs_dead,
    RuleMeasure.STATEMENT_SLOWER: _statement_slower,
    RuleMeasure.REPLICATION_LAG: _replication_lag,
    RuleMeasure.DISK_USED: _disk_used,
    RuleMeasure.IDS_USED: _ids_used,
    RuleMeasure.CONNECTIONS_USED: _connections_used,
    RuleMeasure.BLOCKED: _blocked,
    RuleMeasure.BACKUP_AGE: _backup_age,
    RuleMeasure.DRILL_AGE: _drill_age,
}


def read(measure: RuleMeasure, sight: Sight) -> list[Reading]:
    """Return the readings of a measure, the worst first. Raises Unavailable, OSError."""
    return sorted(MEASURES[measure](sight), key=lambda each: -each.value)
