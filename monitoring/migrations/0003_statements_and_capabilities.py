"""Statements that PostgreSQL has counted, and what a server lacks to show more.

Nothing here depends on pg_stat_statements in the catalogue: it is reached through EXECUTE, so that the
extension may be absent, updated or dropped, and a dump restored where there is none.
"""

from django.db import migrations


# Not trusted: only a superuser may create it, and the package may be missing. The pages then say so.
EXTENSION = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported
    OR object_not_in_prerequisite_state OR invalid_parameter_value OR duplicate_object
    OR duplicate_function OR duplicate_table THEN
    RAISE NOTICE 'pg_stat_statements is not created: %', SQLERRM;
END
$$;
"""

SCHEMA = """
CREATE SCHEMA monitor;
GRANT USAGE ON SCHEMA monitor TO pg_read_all_stats;
"""
NO_SCHEMA = "DROP SCHEMA monitor;"

# Literals survive in utility statements. What is masked too much is only read less well.
MASKED = r"""
CREATE FUNCTION monitor.masked(statement text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $fn$
SELECT CASE WHEN statement !~* 'passw|secret|token|api_?key' THEN statement ELSE
    regexp_replace(regexp_replace(regexp_replace(statement,
        $re$((?:password|passwd|secret|token|api_?key)\w*"?\s*(?:=>|=|:=|\mto\M)?\s*)[eEuUnN]?&?'(?:[^'\\]|\\.|'')*'$re$,
        $to$\1'***'$to$, 'gi'),
        $re$((?:password|passwd|secret|token|api_?key)\w*"?\s*(?:=>|=|:=|\mto\M)?\s*)\$(\w*)\$.*\$\2\$$re$,
        $to$\1'***'$to$, 'gi'),
        $re$((?:password|passwd|secret|token|api_?key)\w*=)[^\s'"&$*]+$re$, $to$\1***$to$, 'gi')
END
$fn$;
"""
NO_MASKED = "DROP FUNCTION monitor.masked(text);"

# Of this database; no rows where the extension is absent, not preloaded, older than 1.8 or not ours
# to read. 1.8 is PostgreSQL 13's; 1.9 has toplevel, 1.10 times of temporary files, 1.11 entries' ages.
STATEMENTS = r"""
CREATE FUNCTION monitor.statements(showtext boolean DEFAULT true)
RETURNS TABLE (
    userid oid, dbid oid, toplevel boolean, queryid bigint, query text,
    calls bigint, "rows" bigint, plans bigint, total_plan_time double precision,
    total_exec_time double precision, min_exec_time double precision, max_exec_time double precision,
    mean_exec_time double precision, stddev_exec_time double precision,
    shared_blks_hit bigint, shared_blks_read bigint, shared_blks_dirtied bigint,
    shared_blks_written bigint, temp_blks_read bigint, temp_blks_written bigint,
    blk_read_time double precision, blk_write_time double precision,
    wal_bytes numeric, jit_time double precision,
    stats_since timestamptz, minmax_stats_since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    home text;
    minor int;
BEGIN
    SELECT n.nspname, substring(e.extversion FROM '^1\.(\d+)$')::int INTO home, minor
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements';
    IF NOT FOUND OR minor IS NULL OR minor < 8 THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        $q$SELECT s.userid, s.dbid, %s, s.queryid, s.query, s.calls, s.rows, s.plans,
            s.total_plan_time, s.total_exec_time, s.min_exec_time, s.max_exec_time,
            s.mean_exec_time, s.stddev_exec_time, s.shared_blks_hit, s.shared_blks_read,
            s.shared_blks_dirtied, s.shared_blks_written, s.temp_blks_read, s.temp_blks_written,
            %s, %s, s.wal_bytes, %s, %s, %s
        FROM %I.pg_stat_statements(%L) s
        WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND s.calls > 0$q$,
        CASE WHEN minor >= 9 THEN 's.toplevel' ELSE 'true' END,
        CASE WHEN minor >= 11 THEN
                's.shared_blk_read_time + s.local_blk_read_time + s.temp_blk_read_time'
            WHEN minor = 10 THEN 's.blk_read_time + s.temp_blk_read_time'
            ELSE 's.blk_read_time' END,
        CASE WHEN minor >= 11 THEN
                's.shared_blk_write_time + s.local_blk_write_time + s.temp_blk_write_time'
            WHEN minor = 10 THEN 's.blk_write_time + s.temp_blk_write_time'
            ELSE 's.blk_write_time' END,
        CASE WHEN minor >= 10 THEN
                's.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time'
                || ' + s.jit_emission_time'
                || CASE WHEN minor >= 11 THEN ' + s.jit_deform_time' ELSE '' END
            ELSE 'NULL::double precision' END,
        CASE WHEN minor >= 11 THEN 's.stats_since' ELSE 'NULL::timestamptz' END,
        CASE WHEN minor >= 11 THEN 's.minmax_stats_since' ELSE 'NULL::timestamptz' END,
        home, showtext);
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege OR undefined_file
    OR undefined_function OR undefined_column THEN
    RETURN;
END
$fn$;

CREATE FUNCTION monitor.statements_info(OUT dealloc bigint, OUT stats_reset timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $fn$
DECLARE
    home text;
BEGIN
    SELECT n.nspname INTO home
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements'
        AND substring(e.extversion FROM '^1\.(\d+)$')::int >= 9;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT i.dealloc, i.stats_reset FROM %I.pg_stat_statements_info i', home)
        INTO dealloc, stats_reset;
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege OR undefined_file
    OR undefined_function OR undefined_table THEN
    RETURN;
END
$fn$;
"""
NO_STATEMENTS = """
DROP FUNCTION monitor.statements_info();
DROP FUNCTION monitor.statements(boolean);
"""

# A setting in postgresql.conf of a library that is not loaded is no setting of its library: those of
# pg_stat_statements are read from pg_settings, which lists only what somebody has defined.
CAPABILITIES = r"""
CREATE VIEW monitor.capabilities AS
WITH extension AS (
    SELECT name, default_version, installed_version FROM pg_available_extensions
    WHERE name IN ('pg_stat_statements', 'hypopg', 'pgstattuple')
), setting AS (
    SELECT name, setting FROM pg_settings
    WHERE name IN ('pg_stat_statements.max', 'pg_stat_statements.track', 'compute_query_id',
        'shared_preload_libraries', 'track_io_timing', 'track_counts', 'track_activities')
), me AS (
    SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS db,
        pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS all_stats,
        pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AS all_settings,
        pg_has_role(current_user, 'pg_stat_scan_tables', 'USAGE') AS scan_tables,
        pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS signal_backend
)
SELECT 'pgss.library'::text AS id,
    EXISTS (SELECT FROM setting WHERE name = 'pg_stat_statements.max') AS ok,
    'pg_stat_statements is loaded when the server starts'::text AS what,
    'ALTER SYSTEM SET shared_preload_libraries = '
        || coalesce((
            SELECT string_agg(quote_literal(trim(both ' "' FROM part)), ', ' ORDER BY place) || ', '
            FROM setting, unnest(string_to_array(setting, ',')) WITH ORDINALITY AS u (part, place)
            WHERE name = 'shared_preload_libraries' AND trim(part) NOT IN ('', 'pg_stat_statements')
        ), '') || '''pg_stat_statements''; -- and restart the server: a reload is not enough' AS fix
UNION ALL
SELECT 'pgss.extension',
    EXISTS (SELECT FROM extension WHERE name = 'pg_stat_statements' AND installed_version IS NOT NULL),
    'the extension is created in this database',
    CASE WHEN EXISTS (SELECT FROM extension WHERE name = 'pg_stat_statements') THEN ''
        ELSE 'Install PostgreSQL''s contrib package (Debian: postgresql-contrib), then ' END
        || 'CREATE EXTENSION pg_stat_statements; -- as superuser, in database ' || me.db
FROM me
UNION ALL
SELECT 'pgss.uptodate',
    coalesce((SELECT installed_version = default_version FROM extension
        WHERE name = 'pg_stat_statements'), false),
    'the extension is as new as the server',
    'ALTER EXTENSION pg_stat_statements UPDATE;'
UNION ALL
SELECT 'pgss.tracking',
    coalesce((SELECT setting <> 'none' FROM setting WHERE name = 'pg_stat_statements.track'), false)
        AND coalesce((SELECT setting <> 'off' FROM setting WHERE name = 'compute_query_id'), false),
    'statements are counted',
    'ALTER SYSTEM SET pg_stat_statements.track = ''top'';'
        || ' ALTER SYSTEM SET compute_query_id = ''auto''; SELECT pg_reload_conf();'
UNION ALL
SELECT 'stats.all_users', me.all_stats, 'sees the statements and sessions of other roles',
    'GRANT pg_read_all_stats TO ' || me.role || ';'
FROM me
UNION ALL
SELECT 'stats.counts',
    coalesce((SELECT setting = 'on' FROM setting WHERE name = 'track_counts'), false)
        AND coalesce((SELECT setting = 'on' FROM setting WHERE name = 'track_activities'), false),
    'scans, rows and sessions are counted',
    'ALTER SYSTEM SET track_counts = on; ALTER SYSTEM SET track_activities = on;'
        || ' SELECT pg_reload_conf();'
UNION ALL
SELECT 'settings.all', me.all_settings, 'sees all settings',
    'GRANT pg_read_all_settings TO ' || me.role || ';'
FROM me
UNION ALL
SELECT 'backend.signal', me.signal_backend, 'may cancel and end sessions of other roles',
    'GRANT pg_signal_backend TO ' || me.role || ';'
FROM me
UNION ALL
SELECT 'io.timing',
    coalesce((SELECT setting = 'on' FROM setting WHERE name = 'track_io_timing'), false),
    'times of reading and writing are measured',
    'ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();'
UNION ALL
SELECT 'bloat.exact',
    me.scan_tables AND EXISTS (
        SELECT FROM extension WHERE name = 'pgstattuple' AND installed_version IS NOT NULL
    ),
    'free space can be measured exactly (pgstattuple)',
    'CREATE EXTENSION IF NOT EXISTS pgstattuple; GRANT pg_stat_scan_tables TO ' || me.role || ';'
FROM me
UNION ALL
SELECT 'index.whatif',
    EXISTS (SELECT FROM extension WHERE name = 'hypopg' AND installed_version IS NOT NULL),
    'indexes can be tried without being built (HypoPG)',
    CASE WHEN EXISTS (SELECT FROM extension WHERE name = 'hypopg') THEN 'CREATE EXTENSION hypopg;'
        ELSE 'Install HypoPG on the server (Debian: postgresql-'
            || current_setting('server_version_num')::int / 10000
            || '-hypopg), then CREATE EXTENSION hypopg;' END;
GRANT SELECT ON monitor.capabilities TO pg_read_all_stats;
"""
NO_CAPABILITIES = "DROP VIEW monitor.capabilities;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_reports")]

    operations = [
        migrations.RunSQL(EXTENSION, migrations.RunSQL.noop),
        migrations.RunSQL(SCHEMA, NO_SCHEMA),
        migrations.RunSQL(MASKED, NO_MASKED),
        migrations.RunSQL(STATEMENTS, NO_STATEMENTS),
        migrations.RunSQL(CAPABILITIES, NO_CAPABILITIES),
    ]
