"""Statements of this database with their shares and ratios; the slow ones for everybody's psql."""

from django.db import migrations


QUERY_STATS = """
CREATE VIEW monitor.query_stats AS
SELECT s.queryid || '-' || s.userid || CASE WHEN s.toplevel THEN '' ELSE '-n' END AS id,
    s.queryid, pg_get_userbyid(s.userid)::text AS username, s.toplevel,
    monitor.masked(s.query) AS query, s.calls, s.rows,
    s.total_exec_time, s.mean_exec_time, s.min_exec_time, s.max_exec_time, s.stddev_exec_time,
    s.stddev_exec_time / nullif(s.mean_exec_time, 0) AS variation,
    s.rows::double precision / s.calls AS rows_per_call,
    100 * s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0) AS total_time_pct,
    100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0) AS cache_hit_pct,
    (s.shared_blks_hit + s.shared_blks_read)::double precision / s.calls AS blocks_per_call,
    100 * (s.blk_read_time + s.blk_write_time) / nullif(s.total_exec_time, 0) AS io_time_pct,
    s.temp_blks_written * current_setting('block_size')::bigint AS temp_bytes_written,
    s.wal_bytes::bigint AS wal_bytes, s.jit_time, s.plans, s.total_plan_time, s.stats_since
FROM monitor.statements(true) s
WHERE s.query IS NOT NULL AND s.queryid IS NOT NULL;
GRANT SELECT ON monitor.query_stats TO pg_read_all_stats;
"""
NO_QUERY_STATS = "DROP VIEW monitor.query_stats;"

SLOW_QUERIES = """
CREATE VIEW slow_queries AS
SELECT * FROM monitor.query_stats WHERE mean_exec_time > 100;
GRANT SELECT ON slow_queries TO pg_read_all_stats;
"""
NO_SLOW_QUERIES = "DROP VIEW slow_queries;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0003_statements_and_capabilities")]

    operations = [
        migrations.RunSQL(QUERY_STATS, NO_QUERY_STATS),
        migrations.RunSQL(SLOW_QUERIES, NO_SLOW_QUERIES),
    ]
