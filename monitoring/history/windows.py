"""Figures of any window by subtraction: sums of what was added between samples (docs/monitoring-history.md).

A window consists of the spans between samples that end within it; `coverage` says which these are.
"""

from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from monitoring.history import sums
from monitoring.history.reading import GAP, Coverage, added, coverage, fetch, step

__all__ = [
    "Coverage",
    "StatementPoint",
    "StatementWindow",
    "TotalsPoint",
    "coverage",
    "marks",
    "statement",
    "statement_series",
    "statements",
    "totals",
]

BLOCK = 8192  # bytes, of every PostgreSQL but those compiled otherwise
ORDERS = {
    "total_time": "exec_ms",
    "calls": "calls",
    "mean_time": "exec_ms / calls",
    "deviation": "exec_ms_squares / calls - (exec_ms / calls) ^ 2",
    "rows": "rows",
    "reads": "blocks_read",
    "temp": "temp_blocks",
    "wal": "wal_bytes",
    "io_time": "io_ms",
}

SUMS = """
sum(calls)::bigint AS calls, sum(exec_ms) AS exec_ms, sum(exec_ms_squares) AS exec_ms_squares,
max(max_ms) AS max_ms, sum(rows)::bigint AS rows, sum(blocks_hit)::bigint AS blocks_hit,
sum(blocks_read)::bigint AS blocks_read, sum(temp_blocks)::bigint AS temp_blocks,
sum(wal_bytes)::bigint AS wal_bytes, sum(plan_ms) AS plan_ms, sum(io_ms) AS io_ms
"""
STATEMENTS = """
WITH {edges},
spent AS (SELECT queryid, {sums} FROM ({rows}) parts GROUP BY queryid),
ranked AS MATERIALIZED (
    SELECT *, sum(exec_ms) OVER () AS all_ms FROM spent ORDER BY {order} DESC, queryid LIMIT %(limit)s
)
SELECT r.queryid, coalesce(t.text, ''), r.calls, r.exec_ms, r.exec_ms_squares, r.max_ms, r.rows,
    r.blocks_hit, r.blocks_read, r.temp_blocks, r.wal_bytes, r.plan_ms, r.io_ms, r.all_ms
FROM ranked r LEFT JOIN statement_texts t USING (queryid)
ORDER BY {order} DESC, queryid
"""


@dataclass(frozen=True)
class StatementWindow:
    """What one statement did within a window, all users together. Times in ms.

    `max_ms` is a call slower than any before it; None when the window had none, so that its slowest is
    unknown. `share` is its part of the time of all statements, 0 to 1.
    """

    queryid: int
    text: str
    calls: int
    total_ms: float
    squares: float  # the sum of the squares of the calls' times, ms²
    max_ms: float | None
    rows: int
    blocks_hit: int
    blocks_read: int
    temp_blocks: int
    wal_bytes: int
    plan_ms: float
    io_ms: float
    all_ms: float  # of all statements

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.calls

    @property
    def stddev_ms(self) -> float:
        """The deviation of all calls of the window, as PostgreSQL reckons it: of the population."""
        return sqrt(max(0.0, self.squares / self.calls - self.mean_ms**2))

    @property
    def hit_ratio(self) -> float | None:
        """Blocks that were found in memory of all that were asked for, 0 to 1; None when there were none."""
        asked = self.blocks_hit + self.blocks_read
        return self.blocks_hit / asked if asked else None

    @property
    def rows_per_call(self) -> float:
        return self.rows / self.calls

    @property
    def temp_bytes(self) -> int:
        """Bytes read from and written to temporary files."""
        return self.temp_blocks * BLOCK

    @property
    def share(self) -> float:
        return self.total_ms / self.all_ms if self.all_ms else 0.0


def statements(
    since: datetime, until: datetime, *, order: str = "total_time", limit: int = 50
) -> list[StatementWindow]:
    """Return the statements that were called within the window, by one of ORDERS, the greatest first.

    One statement, which reads sums of three hours and the samples that are in none. Raises KeyError for an
    unknown order.
    """
    text = _ranking(ORDERS[order])
    return [StatementWindow(*row) for row in fetch(text, since=since, until=until, limit=limit)]


def statement(queryid: int, since: datetime, until: datetime) -> StatementWindow | None:
    """Return what one statement did within the window, `all_ms` being its own; None when nothing."""
    text = _ranking(ORDERS["total_time"], only=" AND queryid = %(queryid)s")
    rows = fetch(text, since=since, until=until, limit=1, queryid=queryid)
    return StatementWindow(*rows[0]) if rows else None


def _ranking(order: str, only: str = "") -> str:
    return STATEMENTS.format(
        edges=sums.edges("edges", "since", "until"),
        sums=SUMS,
        rows=sums.rows("edges", "since", "until", only),
        order=order,
    )


# Points stand at the end of what they cover. `seconds` is None where no sample says when things happened.
SPANS = """
WITH points AS (
    SELECT at FROM generate_series(%(since)s::timestamptz + %(step)s, %(until)s, %(step)s) at
),
spans AS (
    SELECT sampled_at, extract(epoch FROM sampled_at - {begin})::float8 AS seconds, calls, exec_ms,
        date_bin(%(step)s, sampled_at - interval '1 microsecond', %(since)s) + %(step)s AS at
    FROM samples
    WHERE sampled_at > %(since)s AND sampled_at <= %(until)s AND sampled_at - {begin} <= %(gap)s
)
"""
SERIES = (
    SPANS.format(begin="statements_since")
    + """
SELECT points.at, c.seconds, coalesce(s.calls, 0), coalesce(s.exec_ms, 0), coalesce(s.squares, 0),
    coalesce(s.rows, 0), coalesce(s.blocks_hit, 0), coalesce(s.blocks_read, 0)
FROM points
LEFT JOIN (SELECT at, sum(seconds) AS seconds FROM spans GROUP BY at) c USING (at)
LEFT JOIN (
    SELECT spans.at, sum(s.calls)::bigint AS calls, sum(s.exec_ms) AS exec_ms,
        sum(s.exec_ms_squares) AS squares, sum(s.rows)::bigint AS rows,
        sum(s.blocks_hit)::bigint AS blocks_hit, sum(s.blocks_read)::bigint AS blocks_read
    FROM statement_samples s JOIN spans USING (sampled_at)
    WHERE s.queryid = %(queryid)s AND s.sampled_at > %(since)s AND s.sampled_at <= %(until)s
    GROUP BY spans.at
) s USING (at)
ORDER BY points.at
"""
)


@dataclass(frozen=True)
class StatementPoint:
    """One statement in the time up to `at`; rates are None where there is no sample."""

    at: datetime
    seconds: float | None
    calls: int
    total_ms: float
    squares: float
    rows: int
    blocks_hit: int
    blocks_read: int

    @property
    def calls_per_second(self) -> float | None:
        return _rate(self.calls, self.seconds)

    @property
    def ms_per_second(self) -> float | None:
        """Time of this statement in ms per second; 1,000 is one of the processors, or waits, all the time."""
        return _rate(self.total_ms, self.seconds)

    @property
    def mean_ms(self) -> float | None:
        """None also where it was not called."""
        return self.total_ms / self.calls if self.calls else None

    @property
    def stddev_ms(self) -> float | None:
        if not self.calls:
            return None
        return sqrt(max(0.0, self.squares / self.calls - (self.total_ms / self.calls) ** 2))


def statement_series(
    queryid: int, since: datetime, until: datetime, points: int = 120
) -> list[StatementPoint]:
    """Return about `points` moments of a statement, at least five minutes apart. One statement."""
    width = step(since, until, points)
    rows = fetch(SERIES, queryid=queryid, since=since, until=until, step=width, gap=GAP)
    return [StatementPoint(*row) for row in rows]


COUNTED = (
    "xact_commit",
    "xact_rollback",
    "blocks_hit",
    "blocks_read",
    "deadlocks",
    "temp_bytes",
    "wal_position",
    "active_ms",
)
_ADDED = ", ".join(
    f"{added(name, over='w', reset='' if name == 'wal_position' else 'stats_reset')} AS {name}"
    for name in COUNTED
)
# The row before the window belongs to its first span, however long ago: a gap has no point anyway.
TOTALS = (
    SPANS.format(begin="previous_at")
    + f"""
, statement_spans AS (
    SELECT at, sum(exec_ms) AS exec_ms, sum(calls)::bigint AS calls, sum(seconds) AS seconds
    FROM spans WHERE exec_ms IS NOT NULL GROUP BY at
),
grown AS (
    SELECT sampled_at, {_ADDED}, active + idle + idle_in_transaction + other AS connections,
        active, max_connections
    FROM database_samples
    WHERE sampled_at > %(since)s::timestamptz - %(gap)s AND sampled_at <= %(until)s
    WINDOW w AS (ORDER BY sampled_at)
),
grouped AS (
    SELECT at, sum(seconds) AS seconds, sum(xact_commit)::bigint AS xact_commit,
        sum(xact_rollback)::bigint AS xact_rollback, sum(blocks_hit)::bigint AS blocks_hit,
        sum(blocks_read)::bigint AS blocks_read, sum(deadlocks)::bigint AS deadlocks,
        sum(temp_bytes)::bigint AS temp_bytes, sum(wal_position)::bigint AS wal_bytes,
        sum(active_ms) AS active_ms, max(connections) AS connections, max(active) AS active,
        max(max_connections) AS max_connections
    FROM grown JOIN spans USING (sampled_at) GROUP BY at
)
SELECT points.at, g.seconds, s.seconds, s.exec_ms, s.calls, g.xact_commit, g.xact_rollback,
    g.blocks_hit, g.blocks_read, g.deadlocks, g.temp_bytes, g.wal_bytes, g.active_ms, g.connections,
    g.active, g.max_connections
FROM points LEFT JOIN grouped g USING (at) LEFT JOIN statement_spans s USING (at)
ORDER BY points.at
"""
)


@dataclass(frozen=True)
class TotalsPoint:
    """The whole database in the time up to `at`: what was added, and the most connections of a sample.

    All None where there is no sample; those of statements also where these could not be read.
    """

    at: datetime
    seconds: float | None
    statement_seconds: float | None
    exec_ms: float | None
    calls: int | None
    commits: int | None
    rollbacks: int | None
    blocks_hit: int | None
    blocks_read: int | None
    deadlocks: int | None
    temp_bytes: int | None
    wal_bytes: int | None
    active_ms: float | None
    connections: int | None
    active: int | None
    max_connections: int | None

    @property
    def database_time(self) -> float | None:
        """Seconds of statements per second: how many work at once, on average."""
        if self.exec_ms is None:
            return None
        return _rate(self.exec_ms / 1000, self.statement_seconds)

    @property
    def calls_per_second(self) -> float | None:
        return _rate(self.calls, self.statement_seconds)

    @property
    def transactions_per_second(self) -> float | None:
        if self.commits is None or self.rollbacks is None:
            return None
        return _rate(self.commits + self.rollbacks, self.seconds)

    @property
    def hit_ratio(self) -> float | None:
        if self.blocks_hit is None or self.blocks_read is None:
            return None
        asked = self.blocks_hit + self.blocks_read
        return self.blocks_hit / asked if asked else None

    @property
    def wal_per_second(self) -> float | None:
        return _rate(self.wal_bytes, self.seconds)


def totals(since: datetime, until: datetime, points: int = 120) -> list[TotalsPoint]:
    """Return about `points` moments of the whole database, at least five minutes apart. One statement."""
    width = step(since, until, points)
    rows = fetch(TOTALS, since=since, until=until, step=width, gap=GAP)
    return [TotalsPoint(*row) for row in rows]


MARKS = """
SELECT released_at, name FROM release_markers
WHERE released_at BETWEEN %(since)s AND %(until)s ORDER BY released_at, id
"""


def marks(since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Return the releases within a window, for a chart's marks. One statement."""
    return [(at, name) for at, name in fetch(MARKS, since=since, until=until)]


def _rate(amount: float | None, seconds: float | None) -> float | None:
    return amount / seconds if amount is not None and seconds else None
