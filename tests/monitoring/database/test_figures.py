"""What the views say is so: bloat beside pgstattuple, indexes that must stay, who blocks whom, what runs out."""

import subprocess
import time
from contextlib import ExitStack, closing
from decimal import Decimal

import psycopg
import pytest

from tests.monitoring.database.servers import Server
from tests.processes import ROOT


def one(session: psycopg.Connection, statement: str, *params: object) -> tuple:
    return session.execute(statement, params).fetchone()


def swollen_table(session: psycopg.Connection) -> None:
    session.execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    session.execute(
        "CREATE TABLE swollen (id bigint, flag boolean, n int, name text, note text)"
        " WITH (autovacuum_enabled = off)"
    )
    session.execute(
        "INSERT INTO swollen SELECT n, n % 2 = 0, n, 'name ' || n, CASE WHEN n % 3 = 0 THEN repeat('x', 40) END"
        " FROM generate_series(1, 60000) AS n"
    )
    session.execute("SELECT pg_stat_force_next_flush()")


@pytest.mark.parametrize("kept", [1, 3, 10])
def test_estimate_is_within_ten_points_of_the_truth(session, kept):
    swollen_table(session)
    session.execute("DELETE FROM swollen WHERE id %% %s <> 0 AND id < 59990", [kept])
    session.execute("VACUUM (ANALYZE) swollen")
    dead, percent, size, note = one(
        session,
        "SELECT dead_tuples, estimated_bloat_percent, table_size, estimate_note"
        " FROM table_bloat_stats WHERE \"table\" = 'swollen'",
    )
    [(true,)] = session.execute("SELECT free_percent FROM pgstattuple('swollen')").fetchall()
    assert (dead, note) == (0, None)
    assert size > 1024 * 1024
    assert abs(float(percent) - true) < 10
    assert (percent > 40) == (kept > 1)


def test_no_estimate_where_it_would_be_a_guess(session):
    def note() -> str:
        return one(
            session,
            "SELECT estimate_note FROM table_bloat_stats WHERE \"table\" = 'swollen'"
            " AND estimated_bloat_bytes IS NULL AND estimated_bloat_percent IS NULL",
        )[0]

    swollen_table(session)
    assert note() == "no statistics yet: run ANALYZE"
    session.execute("ANALYZE swollen")
    session.execute("SELECT pg_stat_force_next_flush()")
    session.execute("UPDATE swollen SET n = n + 1 WHERE id <= 20000")
    session.execute("SELECT pg_stat_force_next_flush()")
    assert note() == "statistics are stale: 20000 changes since ANALYZE"
    session.execute("TRUNCATE swollen")
    session.execute("INSERT INTO swollen (id) VALUES (1)")
    session.execute("ANALYZE swollen")
    assert note() == "smaller than 1 MB"


def test_dead_rows_are_a_share_with_two_decimals(session):
    session.execute("CREATE TABLE dying (id int) WITH (autovacuum_enabled = off)")
    session.execute("INSERT INTO dying SELECT generate_series(1, 300)")
    session.execute("DELETE FROM dying WHERE id <= 100")
    session.execute("SELECT pg_stat_force_next_flush()")
    found = one(
        session,
        "SELECT live_tuples, dead_tuples, dead_tuple_percent, pg_typeof(total_size)::text"
        " FROM table_bloat_stats WHERE \"table\" = 'dying'",
    )
    assert found == (200, 100, Decimal("33.33"), "bigint")


def test_table_without_any_index_is_missing_one(session):
    swollen_table(session)
    session.execute("CREATE TABLE small (id int)")
    for _ in range(3):
        session.execute("SELECT count(*) FROM swollen")
        session.execute("SELECT count(*) FROM small")
    session.execute("SELECT pg_stat_force_next_flush()")
    found = session.execute(
        'SELECT "table", seq_scan, seq_tup_read, idx_scan, avg_rows_per_scan, has_no_index FROM missing_indexes'
    ).fetchall()
    assert found == [("swollen", 3, 180_000, 0, Decimal("60000.0"), True)]


def test_what_must_stay_is_never_unused(session):
    session.execute("CREATE TABLE parent (id bigint PRIMARY KEY, x int, y int, UNIQUE (x, y))")
    session.execute(
        "CREATE TABLE child (a bigint NOT NULL, b bigint REFERENCES parent, c bigint REFERENCES parent, d int,"
        " e bigint REFERENCES parent, f int, g int, EXCLUDE USING btree (d WITH =),"
        " FOREIGN KEY (f, g) REFERENCES parent (x, y))"
    )
    session.execute("CREATE INDEX child_g_f ON child (g, f, d)")  # the only one, in another order
    session.execute("CREATE UNIQUE INDEX child_unique ON child (d, a)")
    session.execute("CREATE UNIQUE INDEX child_replica ON child (a)")
    session.execute("ALTER TABLE child REPLICA IDENTITY USING INDEX child_replica")
    session.execute("CREATE INDEX child_b ON child (b)")  # the only one of this key
    session.execute("CREATE INDEX child_c ON child (c)")  # one of two
    session.execute("CREATE INDEX child_c_d ON child (c, d)")
    session.execute("CREATE INDEX child_e ON child (e) WHERE e IS NOT NULL")  # the only one
    session.execute("CREATE INDEX child_free ON child (d, b)")
    session.execute("CREATE INDEX child_some ON child (d) WHERE d > 5")
    kept = dict(
        session.execute(
            "SELECT index, kept_because FROM index_usage_stats WHERE \"table\" IN ('child', 'parent')"
        ).fetchall()
    )
    assert kept == {
        "parent_pkey": "primary key",
        "parent_x_y_key": "constraint",
        "child_g_f": "foreign key",
        "child_d_excl": "constraint",
        "child_unique": "unique",
        "child_replica": "unique",
        "child_b": "foreign key",
        "child_c": None,
        "child_c_d": None,
        "child_e": "foreign key",
        "child_free": None,
        "child_some": None,
    }
    assert one(session, "SELECT count(*) FROM index_usage_stats WHERE drop_candidate") == (0,)
    session.execute("DROP INDEX child_b, child_e")
    assert session.execute(
        "SELECT columns FROM monitor.unindexed_foreign_keys WHERE tablename = 'child' ORDER BY 1"
    ).fetchall() == [("b",), ("e",)]


def test_duplicates_are_alike_in_all_that_matters(session):
    session.execute("CREATE TABLE many (a text, b int, c int, CONSTRAINT many_b UNIQUE (b))")
    for name, definition in {
        "base": "(a, b)",
        "twin": "(a, b)",
        "head": "(a)",
        "descending": "(a DESC)",
        "pattern": "(a text_pattern_ops)",
        "collated": '(a COLLATE "C")',
        "hashed": "USING hash (a)",
        "partial": "(a) WHERE c > 1",
        "partial_twin": "(a)   WHERE   c > 1",
        "other_partial": "(a) WHERE c > 2",
        "lower_a": "(lower(a))",
        "lower_twin": "(   lower(a))",
        "lower_b": "(lower(a), b)",
        "upper_a": "(upper(a))",
        "covering": "(c) INCLUDE (b)",
        "covered": "(c)",
        "included": "(c) INCLUDE (a)",
        "plain_b": "(b)",
        "unique_c": "(c, b)",
    }.items():
        where = definition if definition.startswith("USING") else f"USING btree {definition}"
        unique = "UNIQUE " if name == "unique_c" else ""
        session.execute(f"CREATE {unique}INDEX many_{name} ON many {where}")
    found = session.execute(
        "SELECT redundant_index, covered_by, kind FROM monitor.duplicate_indexes WHERE tablename = 'many'"
    ).fetchall()
    assert {(a.removeprefix("many_"), b.removeprefix("many_"), kind) for a, b, kind in found} == {
        ("twin", "base", "duplicate"),
        ("head", "base", "prefix"),
        ("head", "twin", "prefix"),
        ("partial_twin", "partial", "duplicate"),
        ("lower_twin", "lower_a", "duplicate"),
        ("lower_a", "lower_b", "prefix"),
        ("lower_twin", "lower_b", "prefix"),
        ("covered", "covering", "prefix"),
        ("covered", "included", "prefix"),
        ("covered", "unique_c", "prefix"),
        ("covering", "unique_c", "prefix"),
        ("plain_b", "b", "duplicate"),
    }


def wait_until_waiting(session: psycopg.Connection, pid: int) -> None:
    deadline = time.monotonic() + 15
    while one(session, "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", pid) == (0,):
        assert time.monotonic() < deadline


def test_chain_four_deep_names_its_root(server: Server, session, database):
    session.execute("CREATE TABLE held (id int PRIMARY KEY)")
    session.execute("INSERT INTO held SELECT generate_series(1, 4)")
    with ExitStack() as stack:
        chain = [stack.enter_context(closing(server.connect(database))) for _ in range(5)]
        pids = [each.info.backend_pid for each in chain]
        for number, each in enumerate(chain):
            each.execute("BEGIN")
            if number < 4:
                each.execute("SELECT FROM held WHERE id = %s FOR UPDATE", [number + 1])
        for number, each in enumerate(chain[1:], start=1):
            each.pgconn.send_query(b"SELECT FROM held WHERE id = %d FOR UPDATE" % number)
            wait_until_waiting(session, each.info.backend_pid)
        found = session.execute(
            "SELECT root, depth, pid, blocks_n, state FROM monitor.blocking_tree WHERE root = %s",
            [pids[0]],
        ).fetchall()
        assert [row[:4] for row in found] == [(pids[0], n, pids[n], 4 - n) for n in range(5)]
        assert [row[4] for row in found] == ["idle in transaction", *["active"] * 4]


def test_crowd_in_one_queue_has_one_row_each(server: Server, session, database):
    """Each waits for all before it: the paths through them double with every one."""
    session.execute("CREATE TABLE held (id int PRIMARY KEY)")
    session.execute("INSERT INTO held VALUES (1)")
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(server.connect(database))) for _ in range(26)]
        crowd[0].execute("BEGIN")
        crowd[0].execute("LOCK TABLE held")
        for each in crowd[1:]:
            each.pgconn.send_query(b"BEGIN; LOCK TABLE held")
            wait_until_waiting(session, each.info.backend_pid)
        root = crowd[0].info.backend_pid
        found = session.execute(
            "SELECT root, pid, blocks_n FROM monitor.blocking_tree WHERE datname = current_database()"
        ).fetchall()  # others of this server have trees of their own
        assert len(found) == 26
        assert {row[0] for row in found} == {root}
        assert (root, root, 25) in found


def test_who_has_written_and_idles_holds_vacuum_back(server: Server, session, database):
    with closing(server.connect(database)) as writer:
        writer.execute("BEGIN")
        writer.execute("CREATE TABLE unfinished (id int)")
        found = session.execute(
            "SELECT who, state, xmin_age >= 0 FROM monitor.xmin_holders WHERE kind = 'session'"
        ).fetchall()
        assert found == [(str(writer.info.backend_pid), "idle in transaction", True)]


def test_sequences_end_where_their_column_does(session):
    session.execute("CREATE TABLE short (id smallint PRIMARY KEY DEFAULT 1, n int)")
    session.execute("CREATE SEQUENCE short_seq")
    session.execute("ALTER TABLE short ALTER id SET DEFAULT nextval('short_seq')")
    session.execute("SELECT setval('short_seq', 16384)")
    session.execute("CREATE SEQUENCE down INCREMENT -10 MINVALUE -1000 MAXVALUE -1 START -1")
    session.execute("SELECT setval('down', -501)")
    session.execute("CREATE SEQUENCE fresh AS integer")
    found = session.execute(
        "SELECT sequence_name, columnname, last_value, ceiling, used_pct, values_left FROM monitor.sequence_usage"
        " WHERE sequence_name IN ('public.short_seq', 'public.down', 'public.fresh') ORDER BY 1"
    ).fetchall()
    assert found == [
        ("public.down", None, -501, -1000, Decimal("50.100"), 49),
        ("public.fresh", None, None, 2_147_483_647, Decimal("0.000"), 2_147_483_646),
        ("public.short_seq", "id", 16384, 32767, Decimal("50.002"), 16383),
    ]


def test_ids_left_before_the_server_refuses_to_write(session, database):
    age, percent, left = one(
        session,
        "SELECT xid_age, xid_pct, xids_left FROM monitor.wraparound WHERE is_this_database",
    )
    assert age + left == 2**31 - 3_000_000
    assert percent == round(Decimal(100 * age) / 2**31, 2)
    assert one(session, "SELECT age(datfrozenxid) FROM pg_database WHERE datname = %s", database)[
        0
    ] == pytest.approx(age, abs=100)


def test_counts_of_statements_are_never_reset():
    name = "pg_stat_statements" + "_reset"
    found = subprocess.run(
        ["git", "grep", "-l", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (1, "")
