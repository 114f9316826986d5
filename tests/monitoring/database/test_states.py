"""No state of the server makes a view fail or wait: each answers, or says what mends it."""

import json
import time
from contextlib import closing

import psycopg
import pytest

from tests.monitoring.database.servers import Server
from tests.processes import free_port

VIEWS = [
    "slow_queries",
    "index_usage_stats",
    "table_bloat_stats",
    "missing_indexes",
    *(
        f"monitor.{name}"
        for name in (
            "capabilities",
            "query_stats",
            "relation_sizes",
            "foreign_key_covers",
            "duplicate_indexes",
            "autovacuum_due",
            "unindexed_foreign_keys",
            "connections",
            "blocking_tree",
            "xmin_holders",
            "wraparound",
            "sequence_usage",
            "maintenance_progress",
        )
    ),
]
RUNBOOK = """
SELECT * FROM slow_queries ORDER BY mean_exec_time DESC LIMIT 10;
SELECT * FROM index_usage_stats WHERE index_scans < 100;
SELECT * FROM table_bloat_stats WHERE dead_tuple_percent > 10;
SELECT * FROM table_bloat_stats ORDER BY total_size DESC;
"""


def lacking(session: psycopg.Connection) -> dict[str, str]:
    return dict(session.execute("SELECT id, fix FROM monitor.capabilities WHERE NOT ok").fetchall())


def count(session: psycopg.Connection, view: str) -> int:
    return session.execute(f"SELECT count(*) FROM {view}").fetchone()[0]


def all_answer(session: psycopg.Connection) -> None:
    for view in VIEWS:
        count(session, view)
    session.execute("SELECT * FROM monitor.statements_info()")


def test_the_runbooks_lines_work_in_psql(server: Server, session, database):
    session.execute("SELECT pg_sleep(0.15)")
    shown = server.run("psql", database, "-X", "-v", "ON_ERROR_STOP=1", stdin=RUNBOOK)
    assert "pg_sleep($1)" in shown
    assert shown.count(" rows)") + shown.count("(1 row)") == 4


def test_slow_queries_are_of_this_database_alone(server: Server, session):
    with server.connect("postgres") as elsewhere:
        elsewhere.execute("SELECT pg_sleep(0.15) AS elsewhere")
    session.execute("SELECT pg_sleep(0.15) AS here")
    session.execute("SELECT 1, pg_sleep(0.01)")
    found = session.execute(
        "SELECT query, calls, rows, mean_exec_time FROM slow_queries"
    ).fetchall()
    assert [(query, calls, rows) for query, calls, rows, _ in found] == [
        ("SELECT pg_sleep($1) AS here", 1, 1)
    ]
    assert 150 <= found[0][3] < 5_000


def test_secrets_of_utility_statements_are_masked(session):
    for statement, shown in (
        ("ALTER ROLE x PASSWORD 'it''s secret'", "ALTER ROLE x PASSWORD '***'"),
        ("ALTER ROLE x PASSWORD $a$two words$a$ LOGIN", "ALTER ROLE x PASSWORD '***' LOGIN"),
        ("CREATE USER x PASSWORD E'a\\'b'", "CREATE USER x PASSWORD '***'"),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=geheim user=u'",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=*** user=u'",
        ),
        ("SET app.api_key TO 'abc'", "SET app.api_key TO '***'"),
        ("SELECT password FROM users", "SELECT password FROM users"),
    ):
        assert session.execute("SELECT monitor.masked(%s)", [statement]).fetchone() == (shown,)


def test_dropped_extension(server: Server, session, database):
    session.execute("DROP EXTENSION pg_stat_statements")
    all_answer(session)
    assert count(session, "monitor.query_stats") == 0
    assert lacking(session)["pgss.extension"] == (
        f"CREATE EXTENSION pg_stat_statements; -- as superuser, in database {database}"
    )
    done = server.manage(database, "db_report", "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(report["problems"]) == {"statements", "slow_queries"}
    assert report["problems"]["statements"]["reason"] == "NotCounted"
    assert report["problems"]["statements"]["remedy"] == lacking(session)["pgss.extension"]
    assert len(report["sections"]["tables"]) == 10
    session.execute("CREATE EXTENSION pg_stat_statements")
    assert count(session, "monitor.query_stats") > 0


def test_older_extension_is_read_and_can_be_updated(session):
    session.execute("DROP EXTENSION pg_stat_statements")
    versions = session.execute(
        "SELECT version FROM pg_available_extension_versions WHERE name = 'pg_stat_statements'"
        " ORDER BY split_part(version, '.', 2)::int"
    ).fetchall()
    known = [version for (version,) in versions if int(version.split(".")[1]) >= 8]
    assert known[:3] == ["1.8", "1.9", "1.10"]
    session.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    for version in known:
        session.execute(f"ALTER EXTENSION pg_stat_statements UPDATE TO '{version}'")
        assert count(session, "monitor.query_stats") > 0, version
        assert ("pgss.uptodate" in lacking(session)) == (version != known[-1])
    session.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    all_answer(session)


def test_ancient_extension_is_not_read(session):
    session.execute("DROP EXTENSION pg_stat_statements")
    session.execute("CREATE EXTENSION pg_stat_statements VERSION '1.7'")
    assert count(session, "monitor.query_stats") == 0
    assert "pgss.uptodate" in lacking(session)


def test_nothing_depends_on_an_extension(session):
    found = session.execute(
        "SELECT count(*) FROM pg_depend d JOIN pg_depend m ON m.refclassid = 'pg_extension'::regclass"
        " AND m.deptype = 'e' AND m.classid = d.refclassid AND m.objid = d.refobjid"
        " JOIN pg_extension e ON e.oid = m.refobjid AND e.extname = 'pg_stat_statements'"
        " WHERE d.deptype <> 'e' AND d.objid NOT IN"
        " (SELECT r.oid FROM pg_rewrite r JOIN pg_depend x ON x.objid = r.ev_class AND x.deptype = 'e')"
        " AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e' AND x.objid = d.objid)"
        " AND d.classid <> 'pg_type'::regclass"
    ).fetchone()
    assert found == (0,)


def test_tracking_off(session):
    session.execute("SET pg_stat_statements.track = 'none'")
    assert lacking(session)["pgss.tracking"].startswith(
        "ALTER SYSTEM SET pg_stat_statements.track = 'top';"
    )
    all_answer(session)


def test_without_the_right_to_see_others(server: Server, session, database):
    session.execute("DROP ROLE IF EXISTS views_guest")
    session.execute("CREATE ROLE views_guest LOGIN")
    try:
        session.execute("GRANT USAGE ON SCHEMA monitor TO views_guest")
        session.execute("GRANT SELECT ON ALL TABLES IN SCHEMA monitor, public TO views_guest")
        with server.connect(database, "views_guest") as guest:
            all_answer(guest)
            assert lacking(guest)["stats.all_users"] == "GRANT pg_read_all_stats TO views_guest;"
            mine = guest.execute("SELECT DISTINCT username FROM monitor.query_stats").fetchall()
            assert mine in ([], [("views_guest",)])
            [(seen,)] = guest.execute("SELECT sum(connections) FROM monitor.connections").fetchall()
            assert seen >= 2
    finally:
        session.execute("DROP OWNED BY views_guest")
        session.execute("DROP ROLE views_guest")


def test_who_may_not_read_the_views_is_told(server: Server, session, database):
    session.execute("DROP ROLE IF EXISTS views_stranger")
    session.execute("CREATE ROLE views_stranger LOGIN")
    try:
        done = server.manage(database, "db_report", user="views_stranger")
        assert done.returncode == 1
        assert "NOT READ: The role may not read this. permission denied for" in done.stdout
        assert "GRANT pg_read_all_stats TO" in done.stdout
    finally:
        session.execute("DROP ROLE views_stranger")


def test_every_table_and_index_locked(server: Server, session, database):
    tables = session.execute(
        "SELECT quote_ident(relname) FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    session.execute("CREATE INDEX job_partial ON jobs (id) WHERE id > 5")
    with server.connect(database) as holder:
        holder.autocommit = False
        relations = holder.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace IN ('public'::regnamespace, 'months'::regnamespace, 'monitor'::regnamespace)"
        ).fetchall()
        holder.execute(
            f"LOCK TABLE {', '.join(name for (name,) in relations)} IN ACCESS EXCLUSIVE MODE"
        )
        holder.execute("ALTER SEQUENCE orders_id_seq INCREMENT 2")
        holder.execute("REINDEX INDEX job_partial")
        session.execute("SET lock_timeout = '1ms'")
        all_answer(session)
        locked = session.execute(
            "SELECT count(*) FROM table_bloat_stats WHERE is_locked"
        ).fetchone()
        assert locked == (len(relations),)
        assert count(session, "table_bloat_stats") == len(relations)
        definitions = session.execute(
            "SELECT count(*) FROM index_usage_stats WHERE definition IS NOT NULL"
        ).fetchone()
        assert definitions == (0,)
        assert session.execute(
            "SELECT locked, last_value FROM monitor.sequence_usage WHERE sequence_name = 'public.orders_id_seq'"
        ).fetchone() == (True, None)
        holder.rollback()
    assert len(tables) > len(relations) > 30
    assert session.execute("SELECT bool_or(is_locked) FROM table_bloat_stats").fetchone() == (
        False,
    )


def test_who_waits_for_the_lock_makes_nobody_wait(server: Server, session, database):
    """A lock that is only wanted stands in the way as well: what comes later queues behind it."""
    with server.connect(database) as reader, closing(server.connect(database)) as waiter:
        reader.autocommit = False
        reader.execute("SELECT count(*) FROM orders")
        pid = waiter.info.backend_pid
        waiter.pgconn.send_query(b"BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        deadline = time.monotonic() + 15
        while not session.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
        ).fetchone()[0]:
            assert time.monotonic() < deadline
        session.execute("SET lock_timeout = '1ms'")
        all_answer(session)
        assert session.execute(
            "SELECT is_locked FROM table_bloat_stats WHERE \"table\" = 'orders'"
        ).fetchone() == (True,)
        reader.rollback()


def test_refused_connection_is_said_at_once(server: Server, template):
    url = f"postgresql://x@127.0.0.1:{free_port()}/x"
    done = server.manage(template, "db_report", "--format", "json", MONITOR_DATABASE_URL=url)
    problems = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert {problem["reason"] for problem in problems.values()} == {"NoConnection"}
    assert len(problems) == 18
    assert "refused" in problems["tables"]["detail"]


def test_help_and_a_whole_report(server: Server, database):
    assert "Exit code 0" in server.manage(database, "db_report", "--help").stdout
    done = server.manage(database, "db_report", "--top", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "public.alerts_id_seq" in done.stdout
    assert server.manage(database, "db_report", "--top", "0").returncode == 2


def test_a_dump_is_restored_where_there_is_no_extension(server: Server, session, database):
    dump = server.run("pg_dump", database, "-e", "pg_trgm")
    assert "CREATE EXTENSION IF NOT EXISTS pg_stat_statements" not in dump
    with server.connect("postgres") as admin:
        admin.execute("DROP DATABASE IF EXISTS views_restored WITH (FORCE)")
        admin.execute("CREATE DATABASE views_restored")
        try:
            server.run("psql", "views_restored", "-X", "-v", "ON_ERROR_STOP=1", stdin=dump)
            with server.connect("views_restored") as restored:
                all_answer(restored)
                assert count(restored, "monitor.query_stats") == 0
                assert count(restored, "index_usage_stats") == count(session, "index_usage_stats")
        finally:
            admin.execute("DROP DATABASE IF EXISTS views_restored WITH (FORCE)")


def test_migrations_go_back_and_forth(server: Server, session, database):
    assert server.manage(database, "migrate", "monitoring", "0002", "-v0").returncode == 0
    left = session.execute(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'monitor' OR c.relname IN ('slow_queries', 'index_usage_stats',"
        " 'table_bloat_stats', 'missing_indexes')"
    ).fetchone()
    assert left == (0,)
    assert "python manage.py migrate monitoring" in server.manage(database, "db_report").stdout
    assert server.manage(database, "migrate", "-v0").returncode == 0
    all_answer(session)


@pytest.mark.processes
def test_library_that_is_not_preloaded(bare_server: Server):
    with bare_server.connect("postgres") as admin:
        admin.execute("CREATE DATABASE bare")
    migrated = bare_server.manage("bare", "migrate", "-v0")
    assert migrated.returncode == 0, migrated.stderr
    with bare_server.connect("bare") as session:
        all_answer(session)
        assert count(session, "monitor.query_stats") == 0
        missing = lacking(session)
        assert missing["pgss.library"].startswith(
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';"
        )
        assert "pgss.extension" not in missing
        # a setting of a library that is not loaded does not make it look loaded
        session.execute("ALTER DATABASE bare SET pg_stat_statements.max = 5000")
    with bare_server.connect("bare") as session:
        assert session.execute("SHOW pg_stat_statements.max").fetchone() == ("5000",)
        assert "pgss.library" in lacking(session)
    report = json.loads(bare_server.manage("bare", "db_report", "--format", "json").stdout)
    assert report["problems"]["statements"]["remedy"] == missing["pgss.library"]


@pytest.mark.processes
def test_role_that_may_not_create_the_extension_migrates_all_the_same(bare_server: Server):
    with bare_server.connect("postgres") as admin:
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("CREATE DATABASE plain OWNER plain")
    migrated = bare_server.manage("plain", "migrate", "-v0", user="plain")
    assert migrated.returncode == 0, migrated.stderr
    with bare_server.connect("plain", "plain") as session:
        all_answer(session)
        assert {"pgss.library", "pgss.extension", "stats.all_users"} <= set(lacking(session))


def test_no_guess_of_the_planner_makes_a_view_slow(session):
    """PostgreSQL guesses its catalogue badly after many changes, and then joins in loops."""
    session.execute("ANALYZE")
    for way in ("hashjoin", "mergejoin", "material", "memoize"):
        session.execute(f"SET enable_{way} = off")
    session.execute("SET statement_timeout = '5s'")  # a hundred times what the slowest takes
    for view in VIEWS:
        session.execute(f"SELECT * FROM {view}").fetchall()


def test_statistics_of_columns_are_never_found_in_a_loop(session):
    plan = "\n".join(line for (line,) in session.execute("EXPLAIN SELECT * FROM table_bloat_stats"))
    assert "Hash Full Join" in plan
