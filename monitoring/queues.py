"""What the six queues are doing: exact figures for the API, the board and the health checks (ADR 25).

A past period begins with a whole minute, the one that runs when the period's length has passed: the
last hour is 60 to 61 minutes. Its figure adds two parts up: minutes of `job_minutes`, and from `jobs`
by an index what finished since they were counted. Percentiles come from counts of durations
(monitoring/durations.py) and are off by 5 % at most.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from khaacho import broker, jobs, schedules, sql
from khaacho.enums import JobState, Queue
from khaacho.models import WorkerNode
from monitoring import durations
from monitoring.job_minutes import RUN, SPAN, WAIT

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SHARE = 0.95
SLOT, SLOTS = timedelta(minutes=5), 36  # of the curve: three hours


@dataclass(frozen=True, kw_only=True)
class QueueFigures:
    """One queue at a moment. Waiting: due, and free to be taken. Delayed: not before a later moment.

    Retrying: waits for its next attempt. `failed_1h` are jobs whose last failure is within the hour.
    Waits (from due to taken) and runs are those of the jobs done in the last quarter of an hour;
    throughput is the mean of the last five minutes. What was deduplicated (requests folded into a
    job) or stalled (a lease expired) is counted over the jobs that are open or ended in the last 24
    hours. Each period begins with a whole minute.
    """

    queue: str
    waiting: int
    active: int
    delayed: int
    retrying: int
    completed_1h: int
    failed_1h: int
    dead: int
    paused: bool
    pause_reason: str
    paused_by: str
    paused_at: datetime | None
    concurrency: int
    oldest_waiting_seconds: float
    wait_p95_ms: int | None
    run_p95_ms: int | None
    throughput_per_minute: float
    deduplicated_24h: int
    stalled_24h: int
    broker_depth: int | None

    @property
    def name(self) -> str:
        """The queue's name for people."""
        return str(Queue(self.queue).label)


@dataclass(frozen=True)
class Worker:
    """A node that lives: what it takes, how many at once, and when it last said so."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    seen_seconds: float


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All queues and who works them, at the database's moment `now`. None: never."""

    now: datetime
    redis: str
    sweep_last_run_seconds: float | None
    beat_last_tick_seconds: float | None
    workers: list[Worker]
    queues: list[QueueFigures]


# Each part is counted apart: what is open by its own partial indexes, the dead by queue and state.
# Of 100,000 that wait, a count with conditions takes twice as long as one without.
OPEN = f"""
WITH queued AS (
    SELECT queue, count(*) AS jobs, min(run_after) AS oldest,
        sum(coalesced) AS deduplicated, sum(stalls) AS stalled
    FROM jobs WHERE state = '{JobState.QUEUED}' GROUP BY queue
),
later AS (
    SELECT queue, count(*) FILTER (WHERE attempts = 0) AS delayed,
        count(*) FILTER (WHERE attempts > 0) AS retrying
    FROM jobs WHERE state = '{JobState.QUEUED}' AND run_after > %(now)s GROUP BY queue
),
running AS (
    SELECT queue, count(*) AS active, sum(coalesced) AS deduplicated, sum(stalls) AS stalled
    FROM jobs WHERE state = '{JobState.RUNNING}' GROUP BY queue
),
failed AS (SELECT queue, count(*) AS jobs FROM jobs WHERE failed_at >= %(hour)s GROUP BY queue)
SELECT q.queue, coalesce(queued.jobs, 0) - coalesce(delayed, 0) - coalesce(retrying, 0),
    coalesce(delayed, 0), coalesce(retrying, 0),
    coalesce(active, 0), dead.jobs, coalesce(failed.jobs, 0),
    greatest(0, coalesce(date_part('epoch', %(now)s - oldest), 0)),
    coalesce(queued.deduplicated, 0) + coalesce(running.deduplicated, 0) + ended.deduplicated,
    coalesce(queued.stalled, 0) + coalesce(running.stalled, 0) + ended.stalled,
    coalesce(s.is_paused, false), coalesce(s.reason, ''), coalesce(u.name, ''), s.changed_at
FROM unnest(%(queues)s::text[]) WITH ORDINALITY AS q (queue, place)
LEFT JOIN queued USING (queue) LEFT JOIN later USING (queue)
LEFT JOIN running USING (queue) LEFT JOIN failed USING (queue)
LEFT JOIN queue_settings s USING (queue) LEFT JOIN users u ON u.id = s.changed_by_id
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM jobs j WHERE j.queue = q.queue AND j.state = '{JobState.DEAD}'
) AS dead
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coalesced), 0) AS deduplicated, coalesce(sum(stalls), 0) AS stalled
    FROM jobs j WHERE j.queue = q.queue
        AND j.state IN ('{JobState.DEAD}', '{JobState.CANCELLED}') AND j.finished_at >= %(day)s
) AS ended
ORDER BY q.place
"""
# What is kept by the minute, in one snapshot with the moment up to which it was counted.
MINUTES = """
WITH began AS MATERIALIZED (
    SELECT statement_timestamp() AS now,
        date_trunc('minute', statement_timestamp() - interval '1 day') AS day,
        date_trunc('minute', statement_timestamp() - interval '1 hour') AS hour,
        date_trunc('minute', statement_timestamp() - interval '15 minutes') AS quarter,
        date_trunc('minute', statement_timestamp() - interval '5 minutes') AS lately
),
minutes AS (
    SELECT queue, sum(deduplicated) AS deduplicated, sum(stalled) AS stalled,
        coalesce(sum(done) FILTER (WHERE minute >= hour), 0) AS hour,
        coalesce(sum(done) FILTER (WHERE minute >= lately), 0) AS lately
    FROM job_minutes, began WHERE minute >= day GROUP BY queue
),
lasted AS (
    SELECT queue, string_agg(waits::text, ',') AS waits, string_agg(runs::text, ',') AS runs
    FROM job_minutes, began WHERE minute >= quarter GROUP BY queue
)
SELECT began.*, (
    SELECT max(counted_until) FROM job_minutes
    WHERE minute = (SELECT max(minute) FROM job_minutes)
), queue, deduplicated, stalled, minutes.hour, minutes.lately,
    '[' || coalesce(waits, '') || ']', '[' || coalesce(runs, '') || ']'
FROM began LEFT JOIN (minutes LEFT JOIN lasted USING (queue)) ON true
"""
# What is not counted yet, read once by the index on finished_at: by queue, and how many waited and ran
# how long. By both at once there would be nearly as many groups as jobs.
ENDED = f"""
SELECT grouping(wait, run), queue, coalesce(wait, run), count(*) FILTER (WHERE finished_at >= %(hour)s),
    count(*) FILTER (WHERE finished_at >= %(quarter)s),
    count(*) FILTER (WHERE finished_at >= %(lately)s), sum(coalesced), sum(stalls)
FROM (
    SELECT queue, finished_at, coalesced, stalls, {WAIT} AS wait, {RUN} AS run FROM jobs
    WHERE state = '{JobState.DONE}' AND finished_at >= %(since)s
) AS done GROUP BY GROUPING SETS ((queue), (queue, wait), (queue, run))
"""
RUN_MISSING, WAIT_MISSING = 1, 2  # of GROUPING(wait, run)
CURVES = f"""
SELECT queue, floor(date_part('epoch', minute - %(since)s) / {SLOT.total_seconds():.0f})::int, sum(done)
FROM (
    SELECT queue, minute, done FROM job_minutes
    WHERE minute >= %(since)s AND minute < %(tail)s
    UNION ALL
    SELECT queue, date_trunc('minute', finished_at), count(*) FROM jobs
    WHERE state = '{JobState.DONE}' AND finished_at >= %(tail)s AND finished_at < %(until)s GROUP BY 1, 2
) AS minutes
GROUP BY 1, 2
"""


@dataclass
class _Done:
    """What a queue has done; counts of whole minutes first, and then of the rest."""

    hour: int = 0
    lately: int = 0
    deduplicated: int = 0
    stalled: int = 0
    waits: list[Mapping[str, int]] = field(default_factory=list)
    runs: list[Mapping[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _Periods:
    """When the periods began whose last moment is `now`, each with a whole minute."""

    now: datetime
    day: datetime
    hour: datetime
    quarter: datetime
    lately: datetime


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def overview() -> Overview:
    """Return what the queues are doing and who works. Six statements, and LLEN."""
    periods, done = _done()
    now = periods.now
    depths = broker.depths(Queue.values)
    minutes = (now - periods.lately) / MINUTE
    return Overview(
        now=now,
        redis="down" if depths is None else "ok",
        sweep_last_run_seconds=_rounded(jobs.sweep_last_run_seconds()),
        beat_last_tick_seconds=_rounded(schedules.beat_last_tick_seconds()),
        workers=[_worker(node, now) for node in jobs.live_nodes()],
        queues=[_figures(row, done[row[0]], minutes, depths) for row in _open(now)],
    )


def backlog() -> tuple[float, int]:
    """Return how many seconds the job that is due longest has waited, and how many are dead."""
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    rows = _open(row[0])
    return max(oldest for *_, oldest in (r[:8] for r in rows)), sum(r[5] for r in rows)


def curves() -> dict[str, list[int]]:
    """Return how many jobs each queue did in each five minutes of the last three hours, oldest first.

    They end with the last whole minute. Two statements.
    """
    row = sql.fetch_one(SPAN)
    assert row is not None
    until = _floor(row[0])
    since = until - SLOT * SLOTS
    tail = max(_floor(row[1]), since) if row[1] else since
    found = {queue: [0] * SLOTS for queue in Queue.values}
    for queue, slot, count in sql.fetch(CURVES, {"since": since, "tail": tail, "until": until}):
        found[queue][slot] = int(count)
    return found


def _open(now: datetime) -> list[tuple[Any, ...]]:
    return sql.fetch(OPEN, asked_at(now))


def asked_at(now: datetime) -> dict[str, Any]:
    """Return what OPEN binds."""
    return {
        "queues": Queue.values,
        "now": now,
        "hour": _floor(now - HOUR),
        "day": _floor(now - DAY),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _worker(node: WorkerNode, now: datetime) -> Worker:
    seen = (now - node.seen_at).total_seconds()
    return Worker(node.name, tuple(node.queues), node.concurrency, round(max(0.0, seen), 1))


def _figures(
    row: Sequence[Any], done: _Done, minutes: float, depths: Mapping[str, int] | None
) -> QueueFigures:
    queue, waiting, delayed, retrying, active, dead, failed, oldest = row[:8]
    deduplicated, stalled, paused, reason, paused_by, changed_at = row[8:]
    return QueueFigures(
        queue=queue,
        waiting=waiting,
        active=active,
        delayed=delayed,
        retrying=retrying,
        completed_1h=done.hour,
        failed_1h=failed,
        dead=dead,
        paused=paused,
        pause_reason=reason if paused else "",
        paused_by=paused_by if paused else "",
        paused_at=changed_at if paused else None,
        concurrency=jobs.QUEUES[Queue(queue)].concurrency,
        oldest_waiting_seconds=round(oldest, 1),
        wait_p95_ms=_p95(done.waits),
        run_p95_ms=_p95(done.runs),
        throughput_per_minute=round(done.lately / minutes, 1),
        deduplicated_24h=int(deduplicated) + done.deduplicated,
        stalled_24h=int(stalled) + done.stalled,
        broker_depth=None if depths is None else depths[queue],
    )


def _p95(counts: Iterable[Mapping[str, int]]) -> int | None:
    found = durations.percentile(durations.added(counts), SHARE)
    return None if found is None else round(found)


def _done() -> tuple[_Periods, dict[str, _Done]]:
    """Return when the periods began, and what each queue has done in them."""
    rows = sql.fetch(MINUTES)
    periods, counted = _Periods(*rows[0][:5]), rows[0][5]
    counted = max(counted or periods.day, periods.day)
    done = {queue: _Done() for queue in Queue.values}
    for queue, deduplicated, stalled, hour, lately, waits, runs in (row[6:] for row in rows):
        if queue is not None:
            done[queue] = _Done(
                hour=int(hour),
                lately=int(lately),
                deduplicated=int(deduplicated),
                stalled=int(stalled),
                waits=json.loads(waits),
                runs=json.loads(runs),
            )
    _add_uncounted(done, periods, counted)
    return periods, done


def _add_uncounted(done: dict[str, _Done], periods: _Periods, counted: datetime) -> None:
    """Add what finished since it was counted last."""
    asked = {
        "since": counted,
        "hour": periods.hour,
        "quarter": periods.quarter,
        "lately": periods.lately,
    }
    for missing, queue, bucket, hour, quarter, lately, folded, stalled in sql.fetch(ENDED, asked):
        found = done[queue]
        if missing == RUN_MISSING:
            found.waits.append({str(bucket): quarter})
        elif missing == WAIT_MISSING:
            found.runs.append({str(bucket): quarter})
        else:
            found.hour += hour
            found.lately += lately
            found.deduplicated += folded
            found.stalled += stalled
