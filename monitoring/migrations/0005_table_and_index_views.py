"""Tables and indexes: sizes, use, what is redundant or missing, and what vacuum has left to do.

No view waits for a lock of a relation. pg_relation_size, pg_get_indexdef and pg_get_expr would: they are
called only where nobody holds ACCESS EXCLUSIVE or waits for it; else a size is relpages, as of the
last VACUUM or ANALYZE, and a definition NULL. Sizes are of the main fork, in bytes.
"""

from django.db import migrations, models


RELATION_SIZES = """
CREATE VIEW monitor.relation_sizes AS
SELECT c.oid::text AS id, c.oid, c.relkind, c.relnamespace, n.nspname::text AS schemaname,
    c.relname::text AS relname, c.relpages::bigint AS relpages, c.reltuples, c.reltoastrelid,
    l.relation IS NOT NULL AS locked,
    CASE WHEN l.relation IS NULL THEN pg_relation_size(c.oid)
        ELSE c.relpages * current_setting('block_size')::bigint END AS bytes
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (
    SELECT DISTINCT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) l ON l.relation = c.oid
WHERE c.relkind IN ('r', 'm', 'i', 't') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema');
GRANT SELECT ON monitor.relation_sizes TO pg_read_all_stats;
"""
NO_RELATION_SIZES = "DROP VIEW monitor.relation_sizes;"

# An index serves a foreign key when its first columns are the key's, in any order, and it has every
# row: no condition, or only that one of these columns is not null. The condition is read from its
# stored form, since pg_get_expr waits.
FOREIGN_KEY_COVERS = r"""
CREATE VIEW monitor.foreign_key_covers AS
SELECT k.oid || '-' || i.indexrelid AS id, k.oid AS constraint_oid, i.indexrelid AS index_oid
FROM pg_constraint k
JOIN pg_index i ON i.indrelid = k.conrelid AND i.indisvalid AND i.indisready
    AND i.indnkeyatts >= cardinality(k.conkey)
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash')
WHERE k.contype = 'f'
    AND (SELECT array_agg(x ORDER BY x)
        FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) AS x)
        = (SELECT array_agg(x ORDER BY x) FROM unnest(k.conkey) AS x)
    AND (i.indpred IS NULL OR substring(i.indpred::text FROM
        '^\{NULLTEST :arg \{VAR [^{}]*:varattno (\d+) [^{}]*\} :nulltesttype 1 :argisrow false[^{}]*\}$'
    )::int2 = ANY (k.conkey));
GRANT SELECT ON monitor.foreign_key_covers TO pg_read_all_stats;
"""
NO_FOREIGN_KEY_COVERS = "DROP VIEW monitor.foreign_key_covers;"

# Scans are counted since the statistics were reset; where that never was, at least since the start.
INDEX_USAGE_STATS = """
CREATE VIEW index_usage_stats AS
WITH lone AS MATERIALIZED (
    SELECT DISTINCT index_oid FROM (
        SELECT index_oid, count(*) OVER (PARTITION BY constraint_oid) AS covers
        FROM monitor.foreign_key_covers
    ) each WHERE covers = 1
), backing AS MATERIALIZED (
    SELECT DISTINCT conindid AS index_oid FROM pg_constraint WHERE conindid <> 0
), size AS MATERIALIZED (
    SELECT oid, bytes, locked FROM monitor.relation_sizes
)
SELECT i.indexrelid::text AS id, s.schemaname::text AS schema, s.relname::text AS "table",
    s.indexrelname::text AS index,
    s.idx_scan AS index_scans, s.idx_tup_read AS tuples_read, s.idx_tup_fetch AS tuples_fetched,
    z.bytes AS index_size, i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid,
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
    t.n_tup_ins + t.n_tup_upd - t.n_tup_hot_upd AS writes_paid,
    coalesce(d.stats_reset, pg_postmaster_start_time()) AS counted_since,
    CASE WHEN z.locked OR tz.locked THEN NULL ELSE pg_get_indexdef(i.indexrelid) END AS definition,
    z.locked OR tz.locked AS is_locked
FROM pg_stat_user_indexes s
JOIN pg_index i ON i.indexrelid = s.indexrelid
JOIN pg_class c ON c.oid = s.indexrelid
JOIN pg_am m ON m.oid = c.relam
JOIN pg_stat_user_tables t ON t.relid = s.relid
JOIN size z ON z.oid = s.indexrelid
JOIN size tz ON tz.oid = s.relid
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
GRANT SELECT ON index_usage_stats TO pg_read_all_stats;
"""
NO_INDEX_USAGE_STATS = "DROP VIEW index_usage_stats;"

# Conditions and expressions are compared as PostgreSQL stores them, without the places in the text of
# the command that made them, which versions before 17 store too. Of two equals the one goes that
# backs no constraint, is not unique, carries fewer columns, is newer.
DUPLICATE_INDEXES = r"""
CREATE VIEW monitor.duplicate_indexes AS
WITH one AS (
    SELECT i.indexrelid, i.indrelid, n.nspname, t.relname, c.relname AS indexname, m.amname,
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
)
SELECT a.indexrelid || '-' || b.indexrelid AS id, a.nspname::text AS schemaname,
    a.relname::text AS tablename, a.indexname::text AS redundant_index, b.indexname::text AS covered_by,
    CASE WHEN a.keys = b.keys AND a.included @> b.included AND b.included @> a.included
        THEN 'duplicate' ELSE 'prefix' END AS kind,
    z.bytes AS wasted_bytes
FROM one a
JOIN one b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.amname = a.amname
    AND b.condition IS NOT DISTINCT FROM a.condition
    AND b.keys[1:a.width] = a.keys AND b.classes[1:a.width] = a.classes
    AND b.collations[1:a.width] = a.collations AND b.orders[1:a.width] = a.orders
    AND b.options[1:a.width] = a.options
    AND CASE WHEN 0 = ANY (a.keys) THEN starts_with(b.expressions, left(a.expressions, -1)) ELSE true END
JOIN monitor.relation_sizes z ON z.oid = a.indexrelid
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
GRANT SELECT ON monitor.duplicate_indexes TO pg_read_all_stats;
"""
NO_DUPLICATE_INDEXES = "DROP VIEW monitor.duplicate_indexes;"

# Estimated from what the planner knows: rows × (header, null bitmap, data with alignment, pointer) in
# pages of the fill factor, against relpages, both as of the same VACUUM or ANALYZE. No table is read.
# After a column of variable width the next one is shifted by half its alignment on average. Sizes and
# the planner's statistics are computed once: their numbers are guessed so badly that a join in loops
# would compute them for each column.
TABLE_BLOAT_STATS = """
CREATE VIEW table_bloat_stats AS
WITH page AS (
    SELECT current_setting('block_size')::bigint AS bytes
), size AS MATERIALIZED (
    SELECT * FROM monitor.relation_sizes
), statistic AS MATERIALIZED (
    SELECT schemaname, tablename, attname, null_frac, avg_width FROM pg_stats WHERE NOT inherited
), col AS (
    SELECT a.attrelid, a.attname, s.attname IS NOT NULL AS is_known, s.null_frac, s.avg_width,
        CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END AS alignment,
        a.attlen,
        lag(a.attlen, 1, 8::int2) OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS length_before
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
    JOIN pg_namespace n ON n.oid = c.relnamespace
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    LEFT JOIN statistic s ON s.schemaname = n.nspname AND s.tablename = c.relname
        AND s.attname = a.attname
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
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
    WHERE z.relkind IN ('r', 'm')
), need AS (
    SELECT heap.*, ceil(greatest(reltuples, 0)
        / greatest(1, floor((page.bytes - 24) * fillfactor / 100.0 / row_bytes))) AS pages
    FROM heap, page
), indexes AS (
    SELECT i.indrelid, sum(z.bytes)::bigint AS bytes
    FROM pg_index i JOIN size z ON z.oid = i.indexrelid GROUP BY i.indrelid
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
LEFT JOIN size toast ON toast.oid = x.reltoastrelid
LEFT JOIN indexes ON indexes.indrelid = x.oid;
GRANT SELECT ON table_bloat_stats TO pg_read_all_stats;
"""
NO_TABLE_BLOAT_STATS = "DROP VIEW table_bloat_stats;"

# autovacuum_vacuum_max_threshold is PostgreSQL 18's; -1 means none.
AUTOVACUUM_DUE = """
CREATE VIEW monitor.autovacuum_due AS
SELECT c.oid::text AS id, t.schemaname::text AS schemaname, t.relname::text AS tablename, t.n_dead_tup,
    v.threshold AS vacuum_threshold,
    round((100.0 * t.n_dead_tup / nullif(v.threshold, 0))::numeric, 1) AS pct_of_threshold,
    t.n_dead_tup > v.threshold AS due,
    coalesce(o.enabled, 'true')::boolean AND current_setting('autovacuum')::boolean AS autovacuum_on,
    age(c.relfrozenxid) AS xid_age,
    least(o.freeze_max_age, current_setting('autovacuum_freeze_max_age')::bigint) AS freeze_max_age,
    t.n_mod_since_analyze, v.analyze_threshold,
    t.n_mod_since_analyze > v.analyze_threshold AS analyze_due,
    t.n_ins_since_vacuum, v.insert_threshold
FROM pg_stat_user_tables t
JOIN pg_class c ON c.oid = t.relid AND c.relkind IN ('r', 'm')
CROSS JOIN LATERAL (
    SELECT max(value) FILTER (WHERE name = 'autovacuum_enabled') AS enabled,
        max(value) FILTER (WHERE name = 'autovacuum_vacuum_threshold')::float8 AS base,
        max(value) FILTER (WHERE name = 'autovacuum_vacuum_scale_factor')::float8 AS share,
        max(value) FILTER (WHERE name = 'autovacuum_vacuum_max_threshold')::float8 AS most,
        max(value) FILTER (WHERE name = 'autovacuum_analyze_threshold')::float8 AS analyze_base,
        max(value) FILTER (WHERE name = 'autovacuum_analyze_scale_factor')::float8 AS analyze_share,
        max(value) FILTER (WHERE name = 'autovacuum_vacuum_insert_threshold')::float8 AS insert_base,
        max(value) FILTER (WHERE name = 'autovacuum_vacuum_insert_scale_factor')::float8 AS insert_share,
        max(value) FILTER (WHERE name = 'autovacuum_freeze_max_age')::bigint AS freeze_max_age
    FROM (SELECT split_part(x, '=', 1) AS name, split_part(x, '=', 2) AS value
        FROM unnest(c.reloptions) AS x) AS option
) o
CROSS JOIN LATERAL (
    SELECT least(
            coalesce(o.base, current_setting('autovacuum_vacuum_threshold')::float8)
            + coalesce(o.share, current_setting('autovacuum_vacuum_scale_factor')::float8)
            * greatest(c.reltuples, 0),
            nullif(coalesce(o.most,
                current_setting('autovacuum_vacuum_max_threshold', true)::float8), -1)
        ) AS threshold,
        coalesce(o.analyze_base, current_setting('autovacuum_analyze_threshold')::float8)
            + coalesce(o.analyze_share, current_setting('autovacuum_analyze_scale_factor')::float8)
            * greatest(c.reltuples, 0) AS analyze_threshold,
        nullif(coalesce(o.insert_base,
                current_setting('autovacuum_vacuum_insert_threshold')::float8), -1)
            + coalesce(o.insert_share,
                current_setting('autovacuum_vacuum_insert_scale_factor')::float8)
            * greatest(c.reltuples, 0) AS insert_threshold
) v;
GRANT SELECT ON monitor.autovacuum_due TO pg_read_all_stats;
"""
NO_AUTOVACUUM_DUE = "DROP VIEW monitor.autovacuum_due;"

UNINDEXED_FOREIGN_KEYS = """
CREATE VIEW monitor.unindexed_foreign_keys AS
SELECT k.oid::text AS id, n.nspname::text AS schemaname, c.relname::text AS tablename,
    k.conname::text AS constraint_name,
    (SELECT string_agg(a.attname::text, ', ' ORDER BY u.place)
        FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS columns,
    r.relname::text AS references_table, greatest(c.reltuples, 0)::bigint AS estimated_rows,
    k.confdeltype::text AS on_delete
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = k.confrelid
WHERE k.contype = 'f' AND k.conparentid = 0
    AND NOT EXISTS (SELECT FROM monitor.foreign_key_covers f WHERE f.constraint_oid = k.oid);
GRANT SELECT ON monitor.unindexed_foreign_keys TO pg_read_all_stats;
"""
NO_UNINDEXED_FOREIGN_KEYS = "DROP VIEW monitor.unindexed_foreign_keys;"

# No proof that an index is missing: a ranking of where to look.
MISSING_INDEXES = """
CREATE VIEW missing_indexes AS
SELECT t.relid::text AS id, t.schemaname::text AS schema, t.relname::text AS "table",
    t.seq_scan, t.seq_tup_read, coalesce(t.idx_scan, 0) AS idx_scan,
    round(t.seq_tup_read::numeric / nullif(t.seq_scan, 0), 1) AS avg_rows_per_scan,
    z.bytes AS table_size, t.n_live_tup AS live_tuples,
    NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.relid) AS has_no_index,
    round(100.0 * t.seq_tup_read / nullif(t.seq_scan * greatest(t.n_live_tup, 1)::numeric, 0), 1)
        AS avg_percent_of_table_read,
    (to_jsonb(t) ->> 'last_seq_scan')::timestamptz AS last_seq_scan
FROM pg_stat_user_tables t
JOIN monitor.relation_sizes z ON z.oid = t.relid
WHERE t.seq_scan > coalesce(t.idx_scan, 0) AND z.bytes > 1048576;
GRANT SELECT ON missing_indexes TO pg_read_all_stats;
"""
NO_MISSING_INDEXES = "DROP VIEW missing_indexes;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0004_statement_views")]

    operations = [
        migrations.RunSQL(RELATION_SIZES, NO_RELATION_SIZES),
        migrations.RunSQL(FOREIGN_KEY_COVERS, NO_FOREIGN_KEY_COVERS),
        migrations.RunSQL(INDEX_USAGE_STATS, NO_INDEX_USAGE_STATS),
        migrations.RunSQL(DUPLICATE_INDEXES, NO_DUPLICATE_INDEXES),
        migrations.RunSQL(TABLE_BLOAT_STATS, NO_TABLE_BLOAT_STATS),
        migrations.RunSQL(AUTOVACUUM_DUE, NO_AUTOVACUUM_DUE),
        migrations.RunSQL(UNINDEXED_FOREIGN_KEYS, NO_UNINDEXED_FOREIGN_KEYS),
        migrations.RunSQL(MISSING_INDEXES, NO_MISSING_INDEXES),
        migrations.CreateModel(
            name='IndexUsage',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('schema', models.TextField()),
                ('table', models.TextField()),
                ('index', models.TextField()),
                ('index_scans', models.BigIntegerField()),
                ('tuples_read', models.BigIntegerField()),
                ('tuples_fetched', models.BigIntegerField()),
                ('index_size', models.BigIntegerField()),
                ('method', models.TextField()),
                ('key_columns', models.TextField()),
                ('is_unique', models.BooleanField()),
                ('is_valid', models.BooleanField()),
                ('kept_because', models.TextField(null=True)),
                ('drop_candidate', models.BooleanField()),
                ('last_scan', models.DateTimeField(null=True)),
                ('counted_since', models.DateTimeField()),
                ('definition', models.TextField(null=True)),
                ('is_locked', models.BooleanField()),
            ],
            options={
                'verbose_name': 'index',
                'verbose_name_plural': 'index usage',
                'db_table': 'index_usage_stats',
                'abstract': False,
                'managed': False,
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='TableBloat',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('schema', models.TextField()),
                ('table', models.TextField()),
                ('total_size', models.BigIntegerField()),
                ('table_size', models.BigIntegerField()),
                ('index_size', models.BigIntegerField()),
                ('toast_size', models.BigIntegerField()),
                ('live_tuples', models.BigIntegerField()),
                ('dead_tuples', models.BigIntegerField()),
                ('dead_tuple_percent', models.DecimalField(decimal_places=2, max_digits=5, verbose_name='dead, %')),
                ('estimated_bloat_bytes', models.BigIntegerField(null=True)),
                ('estimated_bloat_percent', models.DecimalField(decimal_places=1, max_digits=4, null=True)),
                ('estimate_note', models.TextField(null=True)),
                ('last_vacuum', models.DateTimeField(null=True)),
                ('last_autovacuum', models.DateTimeField(null=True)),
                ('last_analyze', models.DateTimeField(null=True)),
                ('last_autoanalyze', models.DateTimeField(null=True)),
                ('is_locked', models.BooleanField()),
            ],
            options={
                'verbose_name': 'table',
                'verbose_name_plural': 'tables and bloat',
                'db_table': 'table_bloat_stats',
                'abstract': False,
                'managed': False,
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='MissingIndex',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('schema', models.TextField()),
                ('table', models.TextField()),
                ('seq_scan', models.BigIntegerField(verbose_name='scans of the whole table')),
                ('seq_tup_read', models.BigIntegerField(verbose_name='rows read by them')),
                ('idx_scan', models.BigIntegerField(verbose_name='scans by an index')),
                ('avg_rows_per_scan', models.DecimalField(decimal_places=1, max_digits=20)),
                ('table_size', models.BigIntegerField()),
                ('live_tuples', models.BigIntegerField()),
                ('has_no_index', models.BooleanField()),
                ('last_seq_scan', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'table without a useful index',
                'verbose_name_plural': 'missing indexes',
                'db_table': 'missing_indexes',
                'abstract': False,
                'managed': False,
                'default_permissions': ('view',),
            },
        ),
    ]
