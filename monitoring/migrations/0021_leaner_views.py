"""The same views of indexes, tables and statements, row for row, with less work: only what is asked for is measured.

A size is the answer of a function that is called for the rows and columns that somebody selects, where it was
read of every relation before. Indexes are compared with those alone that begin with the same column, foreign
keys with indexes that begin with one of theirs, and the planner's statistics are read of those tables alone
that get an estimate. Of a statement's text secrets are masked once it is chosen, not before. The rules are those
of 0004 and 0005, and so are the promises about locks. New is `is_attached`: that an index is a partition's.
"""

from importlib import import_module

from django.db import migrations

before = import_module("monitoring.migrations.0005_table_and_index_views")
statements = import_module("monitoring.migrations.0004_statement_views")


def _again(view: str) -> str:
    return view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)


# A view with a volatile function, such as pg_relation_size, measures every row even for a count.
RELATION_BYTES = """
CREATE FUNCTION monitor.relation_bytes(relation oid) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $fn$
BEGIN
    RETURN pg_catalog.pg_relation_size(relation);
END
$fn$;
"""
NO_RELATION_BYTES = "DROP FUNCTION monitor.relation_bytes(oid);"

FOREIGN_KEY_COVERS = r"""
CREATE OR REPLACE VIEW monitor.foreign_key_covers AS
SELECT k.oid || '-' || i.indexrelid AS id, k.oid AS constraint_oid, i.indexrelid AS index_oid
FROM pg_constraint k
JOIN pg_index i ON i.indrelid = k.conrelid AND i.indisvalid AND i.indisready
    AND i.indnkeyatts >= cardinality(k.conkey) AND i.indkey[0] = ANY (k.conkey)
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash')
WHERE k.contype = 'f'
    AND (SELECT array_agg(x ORDER BY x)
        FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) AS x)
        = (SELECT array_agg(x ORDER BY x) FROM unnest(k.conkey) AS x)
    AND (i.indpred IS NULL OR substring(i.indpred::text FROM
        '^\{NULLTEST :arg \{VAR [^{}]*:varattno (\d+) [^{}]*\} :nulltesttype 1 :argisrow false[^{}]*\}$'
    )::int2 = ANY (k.conkey));
"""

INDEX_USAGE_STATS = """
CREATE OR REPLACE VIEW index_usage_stats AS
WITH lone AS MATERIALIZED (
    SELECT DISTINCT index_oid FROM (
        SELECT index_oid, count(*) OVER (PARTITION BY constraint_oid) AS covers
        FROM monitor.foreign_key_covers
    ) each WHERE covers = 1
), backing AS MATERIALIZED (
    SELECT DISTINCT conindid AS index_oid FROM pg_constraint WHERE conindid <> 0
), locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT i.indexrelid::text AS id, s.schemaname::text AS schema, s.relname::text AS "table",
    s.indexrelname::text AS index,
    s.idx_scan AS index_scans, s.idx_tup_read AS tuples_read, s.idx_tup_fetch AS tuples_fetched,
    CASE WHEN l.relation IS NULL THEN monitor.relation_bytes(s.indexrelid)
        ELSE c.relpages * current_setting('block_size')::bigint END AS index_size,
    i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid,
    i.indisprimary AS is_primary, m.amname::text AS method,
    (SELECT string_agg(coalesce(a.attname::text, '(expression)'), ', ' ORDER BY k.place)
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
        WHERE k.place <= i.indnkeyatts) AS key_columns,
    i.indpred IS NOT NULL AS is_partial, i.indexprs IS NOT NULL AS has_expressions,
    p.kept_because,
    s.idx_scan = 0 AND p.kept_because IS NULL AND i.indisvalid
        AND coalesce(d.stats_reset, pg_postmaster_start_time()) < now() - interval '14 days'
        AS drop_candidate,
    (to_jsonb(s) ->> 'last_idx_scan')::timestamptz AS last_scan,
    pg_stat_get_tuples_inserted(s.relid) + pg_stat_get_tuples_updated(s.relid)
        - pg_stat_get_tuples_hot_updated(s.relid) AS writes_paid,
    coalesce(d.stats_reset, pg_postmaster_start_time()) AS counted_since,
    CASE WHEN coalesce(l.relation, tl.relation) IS NULL THEN pg_get_indexdef(i.indexrelid) END AS definition,
    coalesce(l.relation, tl.relation) IS NOT NULL AS is_locked, c.relispartition AS is_attached
FROM pg_stat_user_indexes s
JOIN pg_index i ON i.indexrelid = s.indexrelid
JOIN pg_class c ON c.oid = s.indexrelid AND c.relpersistence <> 't'
JOIN pg_am m ON m.oid = c.relam
LEFT JOIN locked l ON l.relation = s.indexrelid
LEFT JOIN locked tl ON tl.relation = s.relid
LEFT JOIN backing ON backing.index_oid = s.indexrelid
LEFT JOIN lone ON lone.index_oid = s.indexrelid
LEFT JOIN pg_stat_database d ON d.datname = current_database()
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN i.indisprimary THEN 'primary key'
        WHEN backing.index_oid IS NOT NULL THEN 'constraint'
        WHEN i.indisunique THEN 'unique'
        WHEN i.indisreplident THEN 'replica identity'
        WHEN lone.index_oid IS NOT NULL THEN 'foreign key'
    END AS kept_because
) p;
"""

DUPLICATE_INDEXES = r"""
CREATE OR REPLACE VIEW monitor.duplicate_indexes AS
WITH one AS (
    SELECT i.indexrelid, i.indrelid, n.nspname, t.relname, c.relname AS indexname, c.relpages, m.amname,
        i.indisunique, i.indisreplident, i.indnkeyatts AS width,
        coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') AS nulls_equal, i.indimmediate,
        regexp_replace(i.indpred::text, ' :location -?\d+', '', 'g') AS condition,
        regexp_replace(i.indexprs::text, ' :location -?\d+', '', 'g') AS expressions,
        (i.indkey::int2[])[0:i.indnkeyatts - 1] AS keys,
        (i.indkey::int2[])[i.indnkeyatts:] AS included,
        (i.indclass::oid[])[0:i.indnkeyatts - 1] AS classes,
        (i.indcollation::oid[])[0:i.indnkeyatts - 1] AS collations,
        (i.indoption::int2[])[0:i.indnkeyatts - 1] AS orders,
        ARRAY(SELECT coalesce(a.attoptions::text, '') FROM pg_attribute a
            WHERE a.attrelid = i.indexrelid AND a.attnum <= i.indnkeyatts ORDER BY a.attnum) AS options,
        coalesce(c.reloptions::text, '') AS storage,
        EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS is_constraint
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_am m ON m.oid = c.relam
    WHERE i.indisvalid AND i.indisready AND c.relkind = 'i' AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND EXISTS (
            SELECT FROM pg_index o
            WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid
                AND o.indkey[0] = i.indkey[0] AND o.indclass[0] = i.indclass[0])
), locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT a.indexrelid || '-' || b.indexrelid AS id, a.nspname::text AS schemaname,
    a.relname::text AS tablename, a.indexname::text AS redundant_index, b.indexname::text AS covered_by,
    CASE WHEN a.keys = b.keys AND a.included @> b.included AND b.included @> a.included
        THEN 'duplicate' ELSE 'prefix' END AS kind,
    CASE WHEN l.relation IS NULL THEN monitor.relation_bytes(a.indexrelid)
        ELSE a.relpages * current_setting('block_size')::bigint END AS wasted_bytes
FROM one a
JOIN one b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.amname = a.amname
    AND b.condition IS NOT DISTINCT FROM a.condition
    AND b.keys[1:a.width] = a.keys AND b.classes[1:a.width] = a.classes
    AND b.collations[1:a.width] = a.collations AND b.orders[1:a.width] = a.orders
    AND b.options[1:a.width] = a.options
    AND CASE WHEN 0 = ANY (a.keys) THEN starts_with(b.expressions, left(a.expressions, -1)) ELSE true END
LEFT JOIN locked l ON l.relation = a.indexrelid
WHERE NOT a.is_constraint AND NOT a.indisreplident
    AND a.included <@ (b.included || b.keys)
    AND (a.keys = b.keys OR a.amname = 'btree')
    AND (a.amname = 'btree' OR a.storage = b.storage)
    AND (NOT a.indisunique OR (b.indisunique AND a.keys = b.keys AND a.nulls_equal = b.nulls_equal
        AND b.indimmediate))
    AND (a.keys <> b.keys
        OR (NOT b.is_constraint, NOT b.indisunique, NOT b.indisreplident,
            -cardinality(b.included), b.indexrelid)
        < (NOT a.is_constraint, NOT a.indisunique, NOT a.indisreplident,
            -cardinality(a.included), a.indexrelid));
"""

TABLE_BLOAT_STATS = """
CREATE OR REPLACE VIEW table_bloat_stats AS
WITH page AS (
    SELECT current_setting('block_size')::bigint AS bytes
), size AS MATERIALIZED (
    SELECT * FROM monitor.relation_sizes WHERE relkind IN ('r', 'm')
), statistic AS MATERIALIZED (
    SELECT schemaname, tablename, attname, null_frac, avg_width FROM pg_stats
    WHERE NOT inherited
        AND tablename = ANY (ARRAY(SELECT relname::name FROM size WHERE bytes >= 1048576))
), col AS (
    SELECT a.attrelid, a.attname, s.attname IS NOT NULL AS is_known, s.null_frac, s.avg_width,
        CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END AS alignment,
        a.attlen,
        lag(a.attlen, 1, 8::int2) OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS length_before
    FROM size x
    JOIN pg_attribute a ON a.attrelid = x.oid
    LEFT JOIN statistic s ON s.schemaname = x.schemaname AND s.tablename = x.relname
        AND s.attname = a.attname
    WHERE x.bytes >= 1048576 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
), width AS (
    SELECT attrelid, count(*) AS columns, count(*) FILTER (WHERE is_known) AS known,
        coalesce(bool_or(null_frac > 0), false) AS has_nulls,
        sum((1 - null_frac) * (avg_width + CASE
            WHEN attlen = -1 THEN 0
            WHEN length_before < 0 THEN (alignment - 1) / 2.0
            ELSE greatest(0, alignment - length_before) END)) AS bytes
    FROM col GROUP BY attrelid
), heap AS (
    SELECT z.*, coalesce(w.columns, 0) AS columns, coalesce(w.known, 0) AS known,
        coalesce((SELECT substring(o FROM 'fillfactor=([0-9]+)')::int
            FROM unnest(c.reloptions) AS o WHERE o LIKE 'fillfactor=%'), 100) AS fillfactor,
        8 * ceil((23 + CASE WHEN w.has_nulls THEN (w.columns + 7) / 8 ELSE 0 END) / 8.0)
            + 8 * ceil(coalesce(w.bytes, 0) / 8.0) + 4 AS row_bytes
    FROM size z
    JOIN pg_class c ON c.oid = z.oid
    LEFT JOIN width w ON w.attrelid = z.oid
), need AS (
    SELECT heap.*, ceil(greatest(reltuples, 0)
        / greatest(1, floor((page.bytes - 24) * fillfactor / 100.0 / row_bytes))) AS pages
    FROM heap, page
), note AS (
    SELECT x.oid, CASE
        WHEN x.bytes < 1048576 THEN 'smaller than 1 MB'
        WHEN x.reltuples < 0 OR x.relpages = 0 THEN 'no statistics yet: run ANALYZE'
        WHEN x.known < x.columns THEN 'no statistics of ' || (x.columns - x.known) || ' of '
            || x.columns || ' columns: run ANALYZE, or grant SELECT on the table'
        WHEN coalesce(t.n_mod_since_analyze, 0) > 0.2 * greatest(x.reltuples, 1)
            THEN 'statistics are stale: ' || t.n_mod_since_analyze || ' changes since ANALYZE'
    END AS text
    FROM need x LEFT JOIN pg_stat_user_tables t ON t.relid = x.oid
)
SELECT x.oid::text AS id, x.schemaname AS schema, x.relname AS "table",
    x.bytes + coalesce(toast.bytes, 0) + coalesce(indexes.bytes, 0) AS total_size,
    x.bytes AS table_size, coalesce(indexes.bytes, 0) AS index_size,
    coalesce(toast.bytes, 0) AS toast_size,
    coalesce(t.n_live_tup, 0) AS live_tuples, coalesce(t.n_dead_tup, 0) AS dead_tuples,
    coalesce(round(100.0 * t.n_dead_tup / nullif(t.n_live_tup + t.n_dead_tup, 0), 2), 0.00)
        AS dead_tuple_percent,
    CASE WHEN note.text IS NULL
        THEN (greatest(0, x.relpages - x.pages) * page.bytes)::bigint END AS estimated_bloat_bytes,
    CASE WHEN note.text IS NULL
        THEN round((100.0 * greatest(0, x.relpages - x.pages) / x.relpages)::numeric, 1) END
        AS estimated_bloat_percent,
    note.text AS estimate_note,
    t.last_vacuum, t.last_autovacuum, t.last_analyze, t.last_autoanalyze,
    coalesce(t.n_mod_since_analyze, 0) AS modified_since_analyze,
    coalesce(t.vacuum_count + t.autovacuum_count, 0) AS vacuums,
    round(100.0 * t.n_tup_hot_upd / nullif(t.n_tup_upd, 0), 1) AS hot_update_percent,
    x.fillfactor, x.locked AS is_locked
FROM need x
CROSS JOIN page
JOIN note ON note.oid = x.oid
LEFT JOIN pg_stat_user_tables t ON t.relid = x.oid
LEFT JOIN (
    SELECT oid, max(bytes) AS bytes FROM monitor.relation_sizes WHERE relkind = 't' GROUP BY oid
) toast ON toast.oid = x.reltoastrelid
LEFT JOIN (
    SELECT i.indrelid, sum(z.bytes)::bigint AS bytes
    FROM pg_index i JOIN monitor.relation_sizes z ON z.oid = i.indexrelid GROUP BY i.indrelid
) indexes ON indexes.indrelid = x.oid;
"""

QUERY_STATS = """
CREATE OR REPLACE VIEW monitor.query_stats AS
SELECT s.queryid || '-' || s.userid || CASE WHEN s.toplevel THEN '' ELSE '-n' END AS id,
    s.queryid, pg_get_userbyid(s.userid)::text AS username, s.toplevel,
    monitor.masked(s.query) AS query, s.calls, s.rows,
    s.total_exec_time, s.mean_exec_time, s.min_exec_time, s.max_exec_time, s.stddev_exec_time,
    s.stddev_exec_time / nullif(s.mean_exec_time, 0) AS variation,
    s.rows::double precision / s.calls AS rows_per_call,
    100 * s.total_exec_time / nullif(s.all_exec_time, 0) AS total_time_pct,
    100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0) AS cache_hit_pct,
    (s.shared_blks_hit + s.shared_blks_read)::double precision / s.calls AS blocks_per_call,
    100 * (s.blk_read_time + s.blk_write_time) / nullif(s.total_exec_time, 0) AS io_time_pct,
    s.temp_blks_written * current_setting('block_size')::bigint AS temp_bytes_written,
    s.wal_bytes::bigint AS wal_bytes, s.jit_time, s.plans, s.total_plan_time, s.stats_since
FROM (
    SELECT *, sum(total_exec_time) OVER () AS all_exec_time FROM monitor.statements(true)
    WHERE query IS NOT NULL AND queryid IS NOT NULL
) s;
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0020_statement_sums")]
    operations = [
        migrations.RunSQL(RELATION_BYTES, NO_RELATION_BYTES),
        migrations.RunSQL(FOREIGN_KEY_COVERS, _again(before.FOREIGN_KEY_COVERS)),
        migrations.RunSQL(
            INDEX_USAGE_STATS, "DROP VIEW index_usage_stats;" + before.INDEX_USAGE_STATS
        ),
        migrations.RunSQL(DUPLICATE_INDEXES, _again(before.DUPLICATE_INDEXES)),
        migrations.RunSQL(TABLE_BLOAT_STATS, _again(before.TABLE_BLOAT_STATS)),
        migrations.RunSQL(QUERY_STATS, _again(statements.QUERY_STATS)),
    ]
