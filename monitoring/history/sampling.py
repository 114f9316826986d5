"""One sample: what moved since the last one, in one transaction of a fixed number of statements (ADR 35).

A slot of five minutes has one sample, whoever takes it. Statements are stored as what was added since the
last sample, so that a window is a sum; what was counted before the first sample belongs to no window. The
database, its tables and indexes are stored as they stand, tables and indexes once an hour.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction

from khaacho import sql
from khaacho.transactions import bounded_waits
from monitoring.history import partitions, rests, sums
from monitoring.sources import hours

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
PATIENCE = "2s"  # for a lock on a table whose size is asked for: it can wait for the next sample

# Of tables that were empty a moment ago the planner believes that they still are: thousands of counters compared
# with as many, each with each, took 14 s instead of 0.1.
ALONE = "SELECT pg_advisory_xact_lock(%s), set_config('enable_nestloop', 'off', true)"
BEGIN = """
WITH previous AS (SELECT max(sampled_at) AS at FROM samples)
INSERT INTO samples (slot, sampled_at, previous_at, dbid, sees_all, has_relations)
SELECT coalesce(%(slot)s, date_bin(%(every)s, statement_timestamp(), '2001-01-01 00:00+00')),
    statement_timestamp(), previous.at,
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    NOT EXISTS (
        SELECT FROM samples
        WHERE has_relations AND sampled_at >= date_trunc('hour', statement_timestamp()))
FROM previous
WHERE previous.at IS NULL OR previous.at < statement_timestamp()
ON CONFLICT (slot) DO NOTHING
RETURNING sampled_at, has_relations
"""

COUNTERS = (
    "calls",
    "rows",
    "exec_ms",
    "exec_ms_squares",
    "plan_ms",
    "blocks_hit",
    "blocks_read",
    "blocks_dirtied",
    "temp_blocks",
    "io_ms",
    "jit_ms",
    "wal_bytes",
)
# A new entry counts from zero: after a reset, a crash, an eviction, or never seen. PostgreSQL 17 says
# when an entry began; before, it is one whose counters went back. Statements that this role may only
# now read are no new ones: what they counted before is of no window.
STATEMENTS = f"""
WITH this AS (SELECT dbid, sees_all FROM samples WHERE sampled_at = %(at)s),
last AS (
    SELECT s.sampled_at AS last_at, s.sees_all AS saw_all FROM samples s, this
    WHERE s.statements_read IS NOT NULL AND s.dbid = this.dbid AND s.sampled_at < %(at)s
    ORDER BY s.sampled_at DESC LIMIT 1
),
reading AS MATERIALIZED (
    SELECT queryid, userid, toplevel, calls, rows, total_exec_time AS exec_ms,
        calls * (stddev_exec_time ^ 2 + (total_exec_time / calls) ^ 2) AS exec_ms_squares,
        max_exec_time AS max_ms, total_plan_time AS plan_ms,
        shared_blks_hit AS blocks_hit, shared_blks_read AS blocks_read,
        shared_blks_dirtied AS blocks_dirtied, temp_blks_read + temp_blks_written AS temp_blocks,
        coalesce(blk_read_time + blk_write_time, 0) AS io_ms, coalesce(jit_time, 0) AS jit_ms,
        wal_bytes::bigint AS wal_bytes, stats_since
    FROM monitor.statements(false) WHERE queryid IS NOT NULL
),
compared AS (
    SELECT r.*, {", ".join(f"c.{name} AS old_{name}" for name in COUNTERS)}, c.max_ms AS old_max_ms,
        c.queryid IS NULL AS is_unknown,
        c.queryid IS NULL OR r.calls < c.calls OR r.rows < c.rows OR r.blocks_hit < c.blocks_hit
            OR r.exec_ms < c.exec_ms OR r.stats_since > c.stats_since
            OR coalesce((SELECT stats_reset FROM monitor.statements_info())
                > (SELECT last_at FROM last), false) AS is_new
    FROM reading r LEFT JOIN statement_counters c USING (queryid, userid, toplevel)
),
moved AS MATERIALIZED (SELECT * FROM compared WHERE is_new OR calls > old_calls),
added AS (
    INSERT INTO statement_samples
        (sampled_at, queryid, userid, toplevel, max_ms, {", ".join(COUNTERS)})
    SELECT %(at)s, queryid, userid, toplevel,
        CASE WHEN is_new OR max_ms > old_max_ms THEN max_ms END,
        {", ".join(f"CASE WHEN is_new THEN {n} ELSE greatest({n} - old_{n}, 0) END" for n in COUNTERS)}
    FROM moved, last, this
    WHERE NOT is_unknown OR saw_all OR NOT sees_all OR stats_since > last_at
    RETURNING calls, exec_ms
),
kept AS (
    INSERT INTO statement_counters
        (queryid, userid, toplevel, max_ms, stats_since, {", ".join(COUNTERS)})
    SELECT queryid, userid, toplevel, max_ms, stats_since, {", ".join(COUNTERS)} FROM moved
    ON CONFLICT (queryid, userid, toplevel) DO UPDATE SET
        max_ms = EXCLUDED.max_ms, stats_since = EXCLUDED.stats_since,
        {", ".join(f"{name} = EXCLUDED.{name}" for name in COUNTERS)}
),
gone AS (
    DELETE FROM statement_counters c
    WHERE EXISTS (SELECT FROM reading) AND NOT EXISTS (
        SELECT FROM reading r
        WHERE (r.queryid, r.userid, r.toplevel) = (c.queryid, c.userid, c.toplevel))
)
UPDATE samples SET
    statements_since = (SELECT last_at FROM last),
    statements_read = (SELECT nullif(count(*), 0) FROM reading),
    calls = CASE WHEN EXISTS (SELECT FROM last) AND EXISTS (SELECT FROM reading)
        THEN (SELECT coalesce(sum(calls), 0) FROM added) END,
    exec_ms = CASE WHEN EXISTS (SELECT FROM last) AND EXISTS (SELECT FROM reading)
        THEN (SELECT coalesce(sum(exec_ms), 0) FROM added) END
WHERE sampled_at = %(at)s
RETURNING statements_read
"""
# The texts' file is read only when there is a new text: the condition without `s` is judged once.
TEXTS = """
INSERT INTO statement_texts (queryid, text, first_seen, last_seen)
SELECT DISTINCT ON (s.queryid) s.queryid, left(monitor.masked(s.query), 20000), %(at)s, %(at)s
FROM monitor.statements(true) s
WHERE (SELECT EXISTS (
        SELECT FROM statement_counters c
        WHERE NOT EXISTS (SELECT FROM statement_texts t WHERE t.queryid = c.queryid)))
    AND s.query IS NOT NULL AND s.queryid IS NOT NULL
    AND NOT EXISTS (SELECT FROM statement_texts t WHERE t.queryid = s.queryid)
ORDER BY s.queryid, s.calls DESC
ON CONFLICT (queryid) DO NOTHING
"""
SEEN = """
UPDATE statement_texts t SET last_seen = %(at)s
FROM statement_samples s
WHERE s.sampled_at = %(at)s AND t.queryid = s.queryid
    AND t.last_seen < %(at)s::timestamptz - interval '1 hour'
"""
LACKING = """
UPDATE samples SET note = 'lacking: ' || coalesce((
    SELECT string_agg(id, ', ' ORDER BY id) FROM monitor.capabilities
    WHERE NOT ok AND id LIKE 'pgss.%%' AND id <> 'pgss.uptodate'), 'stats.all_users')
WHERE sampled_at = %(at)s
"""
DATABASE = """
INSERT INTO database_samples (
    sampled_at, stats_reset, xact_commit, xact_rollback, blocks_read, blocks_hit, tuples_returned,
    tuples_fetched, tuples_inserted, tuples_updated, tuples_deleted, conflicts, temp_files, temp_bytes,
    deadlocks, active_ms, active, idle, idle_in_transaction, other, waiting_for_locks,
    server_connections, max_connections, bytes, wal_position, statements_dealloc, statements_reset)
SELECT %(at)s, d.stats_reset, d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.tup_returned,
    d.tup_fetched, d.tup_inserted, d.tup_updated, d.tup_deleted, d.conflicts, d.temp_files, d.temp_bytes,
    d.deadlocks, d.active_time, sessions.*, current_setting('max_connections')::int,
    pg_database_size(d.datid),
    CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - '0/0'::pg_lsn END,
    info.dealloc, info.stats_reset
FROM pg_stat_database d
CROSS JOIN (
    SELECT count(*) FILTER (WHERE here AND state = 'active'),
        count(*) FILTER (WHERE here AND state = 'idle'),
        count(*) FILTER (WHERE here AND state LIKE 'idle in transaction%%'),
        count(*) FILTER (WHERE here AND (state IS NULL OR state NOT IN (
            'active', 'idle', 'idle in transaction', 'idle in transaction (aborted)'))),
        count(*) FILTER (WHERE here AND wait_event_type = 'Lock'),
        count(*)
    FROM (SELECT *, datname = current_database() AS here FROM pg_stat_activity
        WHERE backend_type = 'client backend') a
) sessions
CROSS JOIN monitor.statements_info() info
WHERE d.datname = current_database()
"""
TABLES = """
WITH sizes AS MATERIALIZED (SELECT oid, reltoastrelid, bytes FROM monitor.relation_sizes),
index_bytes AS (
    SELECT i.indrelid, sum(z.bytes) AS bytes
    FROM pg_index i JOIN sizes z ON z.oid = i.indexrelid GROUP BY i.indrelid
)
INSERT INTO table_samples (
    sampled_at, relid, relation, bytes, total_bytes, live_tuples, dead_tuples, seq_scan, seq_tup_read,
    idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, vacuums, analyzes)
SELECT %(at)s, t.relid, t.schemaname || '.' || t.relname, z.bytes,
    z.bytes + coalesce(own.bytes, 0) + coalesce(toast.bytes, 0) + coalesce(toast_index.bytes, 0),
    t.n_live_tup, t.n_dead_tup, t.seq_scan, t.seq_tup_read, t.idx_scan, t.idx_tup_fetch,
    t.n_tup_ins, t.n_tup_upd, t.n_tup_del, t.n_tup_hot_upd,
    t.vacuum_count + t.autovacuum_count, t.analyze_count + t.autoanalyze_count
FROM pg_stat_user_tables t
JOIN sizes z ON z.oid = t.relid
LEFT JOIN index_bytes own ON own.indrelid = t.relid
LEFT JOIN sizes toast ON toast.oid = z.reltoastrelid
LEFT JOIN index_bytes toast_index ON toast_index.indrelid = z.reltoastrelid
"""
INDEXES = """
INSERT INTO index_samples (sampled_at, indexrelid, relid, scans, tuples_read, bytes)
SELECT %(at)s, i.indexrelid, i.relid, i.idx_scan, i.idx_tup_read, z.bytes
FROM pg_stat_user_indexes i JOIN monitor.relation_sizes z ON z.oid = i.indexrelid
"""
FAILED = """
UPDATE samples SET note = concat_ws('; ', nullif(note, ''), %(note)s) WHERE sampled_at = %(at)s
"""


@dataclass(frozen=True)
class Sample:
    """What was stored. `statements` entries were read; None: they could not be, and `note` says why."""

    sampled_at: datetime
    statements: int | None
    has_relations: bool
    note: str


def take(slot: datetime | None = None) -> Sample | None:
    """Store the sample of a slot, by default of the current five minutes; None when it has one already.

    Without pg_stat_statements the rest is stored all the same. About ten statements, and those of savepoints around its parts.
    """
    with transaction.atomic():
        partitions.make_ahead(0)
        sql.fetch_one(ALONE, [partitions.SAMPLE_LOCK])
        begun = sql.fetch_one(BEGIN, {"slot": slot, "every": EVERY})
        if begun is None:
            return None
        at, has_relations = begun
        if _survives(at, STATEMENTS, TEXTS, SEEN) and not _row(at)[0]:
            sql.execute(LACKING, {"at": at})
        _survives(at, sums.ADD)
        _survives(at, hours.ADD)
        sql.execute(DATABASE, {"at": at})
        if has_relations and not _survives(at, TABLES, INDEXES, rests.ADD):
            sql.execute("UPDATE samples SET has_relations = false WHERE sampled_at = %s", [at])
        return Sample(at, *_row(at))


def _survives(at: datetime, *statements: str) -> bool:
    """Run one part of the sample; should it fail, note that, and let the other parts be stored."""
    try:
        with bounded_waits(PATIENCE):
            for statement in statements:
                sql.execute(statement, {"at": at})
    except DatabaseError as error:
        log.exception("history.part_failed")
        sql.execute(FAILED, {"at": at, "note": f"failed: {type(error).__name__}"})
        return False
    return True


def _row(at: datetime) -> tuple[int | None, bool, str]:
    row = sql.fetch_one(
        "SELECT statements_read, has_relations, note FROM samples WHERE sampled_at = %s", [at]
    )
    assert row is not None
    return row[0], row[1], row[2]
