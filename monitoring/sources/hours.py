"""What requests and jobs did in whole hours, so that a day is read in a tenth of its rows, a month in a twelfth.

An hour is summed by the first sample after it (monitoring/history/sampling.py), when no process writes into it
any more. A window is the hours that lie wholly within it, and the spans of five minutes before and after.
"""

HOUR = "interval '1 hour'"
SPAN = "interval '5 minutes'"
COLUMNS = (
    "kind, name, method, outcome, ended, microseconds, statements, database_microseconds, buckets"
)
_ORIGIN = "timestamptz '2000-01-01 00:00+00'"
_SUMMED = f"(SELECT coalesce(max(since) + {HOUR}, '-infinity') FROM origin_hours)"

# A day at a time, so that a month of spans which nobody has summed yet does not hold up a sample. A process
# writes to the span in which its statement begins: those of the last five minutes may still grow.
ADD = f"""
WITH begun AS MATERIALIZED (
    SELECT min(since) AS at FROM origin_spans WHERE since >= {_SUMMED}
),
parts AS MATERIALIZED (
    SELECT date_bin({HOUR}, since, {_ORIGIN}) AS hour, {COLUMNS} FROM origin_spans
    WHERE since >= (SELECT at FROM begun)
        AND since < least(date_bin({HOUR}, %(at)s::timestamptz - {SPAN}, {_ORIGIN}),
            date_bin({HOUR}, (SELECT at FROM begun), {_ORIGIN}) + interval '1 day')
),
summed AS (
    SELECT hour, kind, name, method, outcome, sum(ended)::bigint AS ended,
        sum(microseconds)::bigint AS microseconds, sum(statements)::bigint AS statements,
        sum(database_microseconds)::bigint AS database_microseconds
    FROM parts GROUP BY 1, 2, 3, 4, 5
),
lasted AS (
    SELECT hour, kind, name, method, outcome, jsonb_object_agg(key, count) AS buckets
    FROM (
        SELECT hour, kind, name, method, outcome, key, sum(value::bigint) AS count
        FROM parts CROSS JOIN jsonb_each_text(buckets) GROUP BY 1, 2, 3, 4, 5, 6
    ) AS counts
    GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO origin_hours (since, {COLUMNS})
SELECT hour, kind, name, method, outcome, ended, microseconds, statements, database_microseconds,
    coalesce(buckets, '{{}}')
FROM summed LEFT JOIN lasted USING (hour, kind, name, method, outcome)
"""

# Of the window's summed hours; without one, both ends are the window's.
EDGES = f"""
edges AS MATERIALIZED (
    SELECT CASE WHEN first < last THEN first ELSE %(until)s::timestamptz END AS first,
        CASE WHEN first < last THEN last ELSE %(until)s::timestamptz END AS last
    FROM (SELECT
        date_bin({HOUR}, %(since)s::timestamptz + {HOUR}, {_ORIGIN}) AS first,
        least(date_bin({HOUR}, %(until)s::timestamptz + {SPAN} - interval '1 microsecond', {_ORIGIN}),
            {_SUMMED}) AS last
    ) hours
)"""


def rows(columns: str) -> str:
    """Return a query for what is to be added up of the spans between `since` and `until`, both excluded.

    Of one `kind`; needs the common table EDGES.
    """
    return f"""
SELECT {columns} FROM origin_hours
WHERE since >= (SELECT first FROM edges) AND since < (SELECT last FROM edges) AND kind = %(kind)s
UNION ALL
SELECT {columns} FROM origin_spans
WHERE since > %(since)s AND since < (SELECT first FROM edges) AND kind = %(kind)s
UNION ALL
SELECT {columns} FROM origin_spans
WHERE since >= (SELECT last FROM edges) AND since < %(until)s AND kind = %(kind)s
"""
