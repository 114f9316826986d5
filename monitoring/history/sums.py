"""What statements did in three hours each, all users together, so that a month is read in a thirtieth of its rows.

A span of three hours ends at `until` and is summed by the first sample after it, when all of its own are
stored. A window is the spans that lie wholly within it, and the samples before and after these.
"""

from datetime import timedelta

WIDTH = timedelta(hours=3)
_ORIGIN = "timestamptz '2001-01-01 00:00+00'"
_WIDTH = f"interval '{WIDTH.total_seconds():.0f} s'"
_COUNTS = (
    "calls",
    "rows",
    "blocks_hit",
    "blocks_read",
    "blocks_dirtied",
    "temp_blocks",
    "wal_bytes",
)
_AMOUNTS = ("exec_ms", "exec_ms_squares", "plan_ms", "io_ms", "jit_ms")
_COLUMNS = ", ".join((*_COUNTS, *_AMOUNTS, "max_ms"))

# With every sample, which mostly finds nothing to do. Whoever takes one is alone (SAMPLE_LOCK).
ADD = f"""
INSERT INTO statement_sums (until, queryid, {_COLUMNS})
SELECT date_bin({_WIDTH}, sampled_at - interval '1 microsecond', {_ORIGIN}) + {_WIDTH} AS until, queryid,
    {", ".join(f"sum({name})::bigint" for name in _COUNTS)},
    {", ".join(f"sum({name})" for name in _AMOUNTS)}, max(max_ms)
FROM statement_samples
WHERE sampled_at > (SELECT coalesce(max(until), '-infinity') FROM statement_sums)
    AND sampled_at <= date_bin({_WIDTH}, %(at)s::timestamptz - interval '1 microsecond', {_ORIGIN})
GROUP BY 1, 2
"""


def edges(name: str, since: str, until: str) -> str:
    """Return a common table of the whole spans of a window, from `first` to `last`.

    `since` and `until` name the window's parameters. Where there is no whole span, both are its beginning.
    """
    return f"""
{name} AS MATERIALIZED (
    SELECT CASE WHEN first < last THEN first ELSE %({since})s::timestamptz END AS first,
        CASE WHEN first < last THEN last ELSE %({since})s::timestamptz END AS last
    FROM (SELECT
        date_bin({_WIDTH}, %({since})s::timestamptz + {_WIDTH} - interval '1 microsecond', {_ORIGIN}) AS first,
        least(date_bin({_WIDTH}, %({until})s::timestamptz, {_ORIGIN}),
            (SELECT coalesce(max(until), '-infinity') FROM statement_sums)) AS last
    ) spans
)"""


def rows(edges: str, since: str, until: str, only: str = "") -> str:
    """Return a query for the rows that are to be summed by statement; `only` is a further condition."""
    return f"""
SELECT queryid, {_COLUMNS} FROM statement_sums
WHERE until > (SELECT first FROM {edges}) AND until <= (SELECT last FROM {edges}){only}
UNION ALL
SELECT queryid, {_COLUMNS} FROM statement_samples
WHERE sampled_at > %({since})s AND sampled_at <= (SELECT first FROM {edges}){only}
UNION ALL
SELECT queryid, {_COLUMNS} FROM statement_samples
WHERE sampled_at > (SELECT last FROM {edges}) AND sampled_at <= %({until})s{only}
"""
