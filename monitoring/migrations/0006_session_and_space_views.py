"""Sessions and who waits for whom; what holds vacuum back, and how much is left of what runs out."""

from django.db import migrations


# Who may not read all statistics sees of others neither kind nor state: counted as what they most
# likely are. Intervals are ages now.
CONNECTIONS = """
CREATE VIEW monitor.connections AS
SELECT md5(concat_ws('|', g.datname, g.usename, g.application_name, g.client_addr, g.state)) AS id, g.*,
    current_setting('max_connections')::int AS max_connections,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved_connections
FROM (
    SELECT datname::text AS datname, usename::text AS usename, application_name,
        client_addr::text AS client_addr, coalesce(state, 'unknown') AS state,
        count(*) AS connections, max(now() - state_change) AS longest_in_state,
        max(now() - backend_start) AS oldest
    FROM pg_stat_activity
    WHERE coalesce(backend_type, 'client backend') = 'client backend'
        AND datid IS NOT NULL AND usesysid IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
) g;
GRANT SELECT ON monitor.connections TO pg_read_all_stats;
"""
NO_CONNECTIONS = "DROP VIEW monitor.connections;"

# One place in the tree for each session: under one that waits for nobody, else under who has waited
# longest. All of them are in blocked_by. (Paths through all blockers double with every waiter of one
# queue.) 0 is a prepared transaction, which has no session.
BLOCKING_TREE = """
CREATE VIEW monitor.blocking_tree AS
WITH RECURSIVE wait AS MATERIALIZED (
    SELECT DISTINCT ON (pid) pid, database, relation, locktype, mode, waitstart
    FROM pg_locks WHERE NOT granted ORDER BY pid, waitstart
), blocked AS MATERIALIZED (
    SELECT wait.*, ARRAY(SELECT DISTINCT unnest(pg_blocking_pids(wait.pid)) ORDER BY 1) AS blocked_by
    FROM wait
), edge AS MATERIALIZED (
    SELECT b.pid, (
        SELECT by.pid FROM unnest(b.blocked_by) AS by (pid) LEFT JOIN wait w ON w.pid = by.pid
        ORDER BY w.pid IS NOT NULL, w.waitstart, by.pid LIMIT 1
    ) AS parent
    FROM blocked b WHERE cardinality(b.blocked_by) > 0
), tree AS (
    SELECT DISTINCT parent AS pid, parent AS root, 0 AS depth, ARRAY[parent] AS path
    FROM edge WHERE parent NOT IN (SELECT pid FROM edge)
    UNION ALL
    SELECT e.pid, t.root, t.depth + 1, t.path || e.pid
    FROM tree t JOIN edge e ON e.parent = t.pid
    WHERE e.pid <> ALL (t.path)
)
SELECT array_to_string(t.path, '>') AS id, t.root, t.depth, t.pid, a.usename::text AS usename,
    CASE WHEN t.pid = 0 THEN 'prepared transaction' ELSE a.application_name END AS application_name,
    a.state, a.wait_event, now() - a.xact_start AS xact_age, now() - b.waitstart AS waiting_for,
    CASE WHEN b.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        THEN b.relation::regclass::text END AS waiting_on,
    b.mode AS wants,
    (SELECT count(*) FROM tree d WHERE t.pid = ANY (d.path) AND d.pid <> t.pid) AS blocks_n,
    left(monitor.masked(a.query), 300) AS query,
    coalesce(b.blocked_by, '{}') AS blocked_by, b.locktype, a.backend_start, a.query_start,
    a.datname::text AS datname, a.backend_type, a.client_addr::text AS client_addr, t.path
FROM tree t
LEFT JOIN pg_stat_activity a ON a.pid = t.pid
LEFT JOIN blocked b ON b.pid = t.pid
ORDER BY t.path;
GRANT SELECT ON monitor.blocking_tree TO pg_read_all_stats;
"""
NO_BLOCKING_TREE = "DROP VIEW monitor.blocking_tree;"

# A session that has written and is idle in its transaction has no snapshot, but its id holds as well.
# VACUUM's own snapshot holds nothing.
XMIN_HOLDERS = """
CREATE VIEW monitor.xmin_holders AS
SELECT 'backend:' || a.pid AS id, 'session'::text AS kind, a.pid::text AS who,
    a.application_name AS detail, greatest(age(a.backend_xmin), age(a.backend_xid)) AS xmin_age,
    now() - a.xact_start AS held_for, a.state
FROM pg_stat_activity a
WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.pid <> pg_backend_pid()
    AND a.datname = current_database()
    AND coalesce(a.backend_type, '') <> 'walsender'
    AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
UNION ALL
SELECT 'slot:' || slot_name, 'replication slot', slot_name::text, slot_type,
    greatest(age(xmin), age(catalog_xmin)), NULL, CASE WHEN active THEN 'active' ELSE 'inactive' END
FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
UNION ALL
SELECT 'prepared:' || gid, 'prepared transaction', gid, owner::text, age(transaction),
    now() - prepared, 'prepared'
FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'standby:' || pid, 'standby feedback', pid::text, application_name, age(backend_xmin), NULL, state
FROM pg_stat_replication WHERE backend_xmin IS NOT NULL;
GRANT SELECT ON monitor.xmin_holders TO pg_read_all_stats;
"""
NO_XMIN_HOLDERS = "DROP VIEW monitor.xmin_holders;"

# PostgreSQL gives out no more ids when 3 million are left of 2^31.
WRAPAROUND = """
CREATE VIEW monitor.wraparound AS
SELECT d.oid::text AS id, d.datname::text AS datname, age(d.datfrozenxid) AS xid_age,
    round(100.0 * age(d.datfrozenxid) / 2147483648, 2) AS xid_pct,
    mxid_age(d.datminmxid) AS mxid_age,
    round(100.0 * mxid_age(d.datminmxid) / 2147483648, 2) AS mxid_pct,
    current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age,
    current_setting('vacuum_failsafe_age')::bigint AS failsafe_age,
    greatest(0, 2144483648 - age(d.datfrozenxid)) AS xids_left,
    greatest(0, 2144483648 - mxid_age(d.datminmxid)) AS mxids_left,
    current_setting('autovacuum_multixact_freeze_max_age')::bigint AS multixact_freeze_max_age,
    d.datname = current_database() AS is_this_database
FROM pg_database d WHERE d.datallowconn;
GRANT SELECT ON monitor.wraparound TO pg_read_all_stats;
"""
NO_WRAPAROUND = "DROP VIEW monitor.wraparound;"

# pg_sequences would wait for who alters a sequence; a locked one has no last value here. A sequence
# ends where its column's type does, whether it owns the column or is only its default.
SEQUENCE_USAGE = """
CREATE VIEW monitor.sequence_usage AS
SELECT s.seqrelid::text AS id, n.nspname || '.' || c.relname AS sequence_name,
    col.relname::text AS tablename, col.attname::text AS columnname,
    format_type(col.atttypid, NULL) AS column_type, v.last_value, e.ceiling,
    round(100 * CASE WHEN v.last_value IS NULL THEN 0
        WHEN s.seqincrement > 0 THEN (v.last_value::numeric - s.seqmin + 1) / (e.ceiling::numeric - s.seqmin + 1)
        ELSE (s.seqmax - v.last_value::numeric + 1) / (s.seqmax - e.ceiling::numeric + 1) END, 3) AS used_pct,
    s.seqcycle AS cycles, r.unreadable,
    s.seqincrement AS increment,
    floor(abs(e.ceiling::numeric - coalesce(v.last_value, s.seqstart)) / abs(s.seqincrement))::bigint
        AS values_left,
    r.locked
FROM pg_sequence s
JOIN pg_class c ON c.oid = s.seqrelid AND c.relpersistence <> 't'
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
LEFT JOIN LATERAL (
    SELECT t.relname, a.attname, a.atttypid FROM (
        SELECT d.refobjid AS relid, d.refobjsubid::int2 AS attnum, 0 AS rank FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refobjsubid > 0
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        UNION ALL
        SELECT f.adrelid, f.adnum, 1 FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.refobjid = s.seqrelid
    ) AS at
    JOIN pg_class t ON t.oid = at.relid
    JOIN pg_attribute a ON a.attrelid = at.relid AND a.attnum = at.attnum
    ORDER BY at.rank, at.relid LIMIT 1
) col ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, CASE col.atttypid
            WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
            ELSE 9223372036854775807 END)
        ELSE greatest(s.seqmin, CASE col.atttypid
            WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
            ELSE -9223372036854775808 END) END AS ceiling
) e
LEFT JOIN (
    SELECT DISTINCT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode IN
            ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) l ON l.relation = s.seqrelid
CROSS JOIN LATERAL (
    SELECT NOT has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AS unreadable,
        l.relation IS NOT NULL AS locked
) r
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT r.unreadable AND NOT r.locked THEN pg_sequence_last_value(s.seqrelid) END
        AS last_value
) v;
GRANT SELECT ON monitor.sequence_usage TO pg_read_all_stats;
"""
NO_SEQUENCE_USAGE = "DROP VIEW monitor.sequence_usage;"

# Of this database. VACUUM counts indexes from PostgreSQL 17 on.
MAINTENANCE_PROGRESS = """
CREATE VIEW monitor.maintenance_progress AS
SELECT p.id, p.kind, p.pid, p.relation, p.phase, p.pct, p.index_passes, p.indexes_done, p.indexes_total,
    coalesce(a.backend_type = 'autovacuum worker', false) AS is_automatic, a.query_start AS started_at
FROM (
    SELECT 'v' || v.pid AS id, 'VACUUM'::text AS kind, v.pid, v.relid::regclass::text AS relation, v.phase,
        round(100.0 * v.heap_blks_scanned / nullif(v.heap_blks_total, 0), 1) AS pct,
        v.index_vacuum_count AS index_passes,
        (to_jsonb(v) ->> 'indexes_processed')::bigint AS indexes_done,
        (to_jsonb(v) ->> 'indexes_total')::bigint AS indexes_total
    FROM pg_stat_progress_vacuum v WHERE v.datname = current_database()
    UNION ALL
    SELECT 'a' || a.pid, 'ANALYZE', a.pid, a.relid::regclass::text, a.phase,
        round(100.0 * a.sample_blks_scanned / nullif(a.sample_blks_total, 0), 1), NULL, NULL, NULL
    FROM pg_stat_progress_analyze a WHERE a.datname = current_database()
    UNION ALL
    SELECT 'i' || i.pid, i.command, i.pid,
        coalesce(nullif(i.index_relid, 0)::regclass::text, i.relid::regclass::text), i.phase,
        round(100.0 * CASE WHEN i.tuples_total > 0 THEN i.tuples_done::numeric / i.tuples_total
            ELSE i.blocks_done::numeric / nullif(i.blocks_total, 0) END, 1), NULL, NULL, NULL
    FROM pg_stat_progress_create_index i WHERE i.datname = current_database()
    UNION ALL
    SELECT 'c' || c.pid, c.command, c.pid, c.relid::regclass::text, c.phase,
        round(100.0 * c.heap_blks_scanned / nullif(c.heap_blks_total, 0), 1), NULL, NULL, NULL
    FROM pg_stat_progress_cluster c WHERE c.datname = current_database()
) p
LEFT JOIN pg_stat_activity a ON a.pid = p.pid;
GRANT SELECT ON monitor.maintenance_progress TO pg_read_all_stats;
"""
NO_MAINTENANCE_PROGRESS = "DROP VIEW monitor.maintenance_progress;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0005_table_and_index_views")]

    operations = [
        migrations.RunSQL(CONNECTIONS, NO_CONNECTIONS),
        migrations.RunSQL(BLOCKING_TREE, NO_BLOCKING_TREE),
        migrations.RunSQL(XMIN_HOLDERS, NO_XMIN_HOLDERS),
        migrations.RunSQL(WRAPAROUND, NO_WRAPAROUND),
        migrations.RunSQL(SEQUENCE_USAGE, NO_SEQUENCE_USAGE),
        migrations.RunSQL(MAINTENANCE_PROGRESS, NO_MAINTENANCE_PROGRESS),
    ]
