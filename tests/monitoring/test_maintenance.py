"""Maintenance by a job: what was done is seen in PostgreSQL itself, what was not done is said."""

import contextlib
import re
import threading

import pytest
from django.db import connection, connections

from khaacho import jobs, permissions, sql, tenants
from khaacho.actors import SYSTEM
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Forbidden, Invalid
from khaacho.models import AuditLog, Job
from monitoring.maintenance import asking, targets
from monitoring.maintenance.kinds import MaintenanceKind
from monitoring.maintenance.runs import MaintenanceRun
from tests.factories import make_user
from tests.monitoring.sessions import sessions, state_of
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

K = MaintenanceKind


def execute(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.fixture
def swollen():
    """A table with 10,000 rows of which half are dead, nobody's statistics, and an index."""
    execute("DROP TABLE IF EXISTS swollen")
    execute("CREATE TABLE swollen (id int, note text) WITH (autovacuum_enabled = false)")
    execute("INSERT INTO swollen SELECT n, repeat('x', 300) FROM generate_series(1, 10000) n")
    execute("CREATE INDEX swollen_id ON swollen (id)")
    execute("DELETE FROM swollen WHERE mod(id, 2) = 0")
    yield "swollen"
    execute("DROP TABLE IF EXISTS swollen")


def ask(kind, target="swollen", actor=SYSTEM):
    return asking.request_maintenance(kind=kind, target=target, actor=actor)


def work(run):
    jobs.run(run.job_id)
    run.refresh_from_db()
    return run


def job_of(run):
    return Job.objects.get(pk=run.job_id)


@contextlib.contextmanager
def default_with(option):
    """Let the connections that are opened meanwhile begin with a setting of PostgreSQL."""
    options = connections["direct"].settings_dict["OPTIONS"]
    before = options["options"]
    options["options"] = f"{before} -c {option}"
    try:
        yield
    finally:
        options["options"] = before


@contextlib.contextmanager
def working(run):
    """Do the run's job in a thread meanwhile."""

    def do():
        try:
            jobs.run(run.job_id)
        finally:
            connections.close_all()

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    except BaseException:  # it must not go on beneath the tests that follow
        execute(
            "SELECT pg_terminate_backend(pid) FROM maintenance_runs"
            " JOIN pg_stat_activity USING (pid, backend_start) WHERE id = %s",
            run.pk,
        )
        raise
    finally:
        thread.join(60)
        assert not thread.is_alive()


def test_analyze_renews_the_statistics(swollen):
    assert sql.fetch("SELECT count(*) FROM pg_stats WHERE tablename = 'swollen'") == [(0,)]
    run = work(ask(K.ANALYZE))
    assert (run.state, run.progress, run.error) == ("done", 100, "")
    assert sql.fetch("SELECT count(*) FROM pg_stats WHERE tablename = 'swollen'") == [(2,)]
    assert run.log.splitlines()[0] == 'ANALYZE (VERBOSE) "public"."swollen"'
    assert "5000 live rows" in run.log
    assert run.seconds is not None
    assert job_of(run).state == "done"


def test_vacuum_frees_the_dead_rows(swollen):
    run = work(ask(K.VACUUM))
    assert (run.state, run.error) == ("done", "")
    assert "tuples: 5000 removed, 5000 remain" in run.log
    assert sql.fetch("SELECT count(*) FROM pg_stats WHERE tablename = 'swollen'") == [(0,)]


def test_vacuum_analyze_does_both(swollen):
    run = work(ask(K.VACUUM_ANALYZE))
    assert "tuples: 5000 removed" in run.log
    assert sql.fetch("SELECT count(*) FROM pg_stats WHERE tablename = 'swollen'") == [(2,)]


def file_of(name):
    return sql.fetch("SELECT relfilenode FROM pg_class WHERE relname = %s", [name])[0][0]


def test_reindex_replaces_the_index(swollen):
    first = file_of("swollen_id")
    run = work(ask(K.REINDEX_INDEX, "swollen_id"))
    assert (run.state, run.error) == ("done", "")
    second = file_of("swollen_id")
    assert second != first
    assert work(ask(K.REINDEX_TABLE)).state == "done"
    assert file_of("swollen_id") != second
    assert sql.fetch("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_measures_bloat_exactly(swollen):
    execute("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    try:
        run = work(ask(K.EXACT_BLOAT))
        assert (run.state, run.error) == ("done", "")
        assert (run.result["tuple_count"], run.result["dead_tuple_count"]) == (5000, 5000)
        assert "dead_tuple_count: 5000" in run.log
        index = work(ask(K.EXACT_BLOAT, "swollen_id"))
        assert index.state == "done"
        assert index.result["leaf_pages"] > 20
    finally:
        execute("DROP EXTENSION pgstattuple")


def test_says_how_to_get_the_extension(swollen):
    run = work(ask(K.EXACT_BLOAT))
    assert run.state == "failed"
    assert "CREATE EXTENSION pgstattuple; GRANT pg_stat_scan_tables TO " in run.error
    assert job_of(run).state == "done"


def test_a_vacuum_that_skipped_its_table_failed(swollen):
    """PostgreSQL answers VACUUM, with a warning, to whoever may not."""
    execute("CREATE ROLE no_owner NOLOGIN")
    execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO no_owner")
    try:
        run = ask(K.VACUUM)
        with default_with("role=no_owner"):
            work(run)
        assert run.state == "failed"
        assert re.search('skipping.*"swollen"|"swollen", skipping', run.error)
        if connection.pg_version >= 170_000:  # which has a right for it
            assert 'GRANT MAINTAIN ON "public"."swollen" TO "no_owner";' in run.error
        else:
            assert 'TABLE "public"."swollen" OWNER TO "no_owner";' in run.error
        assert re.search("^WARNING: .*skipping", run.log, re.MULTILINE)
        assert job_of(run).state == "done"
        assert "tuples: 5000 removed" in work(ask(K.VACUUM)).log  # none was before
    finally:
        execute("DROP OWNED BY no_owner")
        execute("DROP ROLE no_owner")


def test_gives_up_instead_of_queueing_for_a_lock(swollen):
    with sessions("ddl") as (ddl,):
        ddl.do("LOCK TABLE swollen IN ACCESS EXCLUSIVE MODE")
        run = work(ask(K.VACUUM))
    assert run.state == "failed"
    assert "waited 3 s for a lock and gave up" in run.error
    assert "canceling statement due to lock timeout" in run.log


def test_cancelling_stops_the_session_that_works(swollen):
    with default_with("vacuum_cost_delay=100 -c vacuum_cost_limit=1"):
        run = ask(K.VACUUM)
        with working(run):
            wait_for(lambda: progress(run) and MaintenanceRun.objects.get(pk=run.pk).progress > 0)
            run.refresh_from_db()
            assert (run.state, run.phase) == ("running", "scanning heap")
            assert 0 < run.progress < 100
            pid = run.pid
            assert state_of(pid)[0] == "active"
            asking.cancel_maintenance(run_id=run.pk, actor=SYSTEM)
            wait_for(lambda: state_of(pid) is None)
    run.refresh_from_db()
    assert (run.state, run.error) == ("cancelled", "")
    assert run.log.startswith('VACUUM (VERBOSE) "public"."swollen"')
    assert job_of(run).state == "cancelled"
    assert list(
        AuditLog.objects.filter(entity_type="maintenance", entity_id=run.pk)
        .order_by("id")
        .values_list("action", flat=True)
    ) == ["maintenance.requested", "maintenance.cancelled"]
    with pytest.raises(Conflict, match="cancelled already"):
        asking.cancel_maintenance(run_id=run.pk, actor=SYSTEM)


def progress(run):
    """Whether this run's own VACUUM works: others of this server have theirs."""
    return sql.fetch(
        "SELECT 1 FROM pg_stat_progress_vacuum p JOIN maintenance_runs r ON r.pid = p.pid"
        " WHERE r.id = %s AND p.datname = current_database()",
        [run.pk],
    )


def test_names_the_invalid_index_that_a_stopped_reindex_leaves(swollen):
    with sessions("long import") as (writer,):
        writer.do("INSERT INTO swollen VALUES (0)")  # an old transaction, for which REINDEX waits
        run = ask(K.REINDEX_INDEX, "swollen_id")
        with working(run):
            wait_for(lambda: sql.fetch("SELECT 1 FROM pg_class WHERE relname = 'swollen_id_ccnew'"))
            asking.cancel_maintenance(run_id=run.pk, actor=SYSTEM)
    run.refresh_from_db()
    assert run.state == "cancelled"
    drop = 'DROP INDEX CONCURRENTLY "public"."swollen_id_ccnew";'
    assert drop in run.log
    execute(drop)
    assert sql.fetch("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_who_has_a_newer_fence_ends_the_session_of_the_one_before(swollen):
    """A worker that died leaves its backend at work; the next attempt must not wait for it."""
    with sessions("x") as (orphan,):
        run = ask(K.VACUUM)
        orphan.do(f"SET application_name = '{asking.application_name(run.pk)}'")
        orphan.raw.commit()
        orphan.do("LOCK TABLE swollen IN SHARE UPDATE EXCLUSIVE MODE")
        MaintenanceRun.objects.filter(pk=run.pk).update(
            state="running", pid=orphan.pid, backend_start=orphan.start
        )
        work(run)
        assert run.state == "done"
        assert state_of(orphan.pid) is None


def test_a_worker_whose_job_was_taken_over_writes_nothing(swollen):
    with default_with("vacuum_cost_delay=100 -c vacuum_cost_limit=1"):
        run = ask(K.VACUUM)
        with working(run):
            wait_for(lambda: progress(run))
            execute("UPDATE jobs SET fence = fence + 1 WHERE id = %s", run.job_id)
            wait_for(lambda: not progress(run))
    run.refresh_from_db()
    assert run.state == "running"
    assert job_of(run).state == "running"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (K.VACUUM, "pg_class"),
        (K.VACUUM, "swollen_id"),
        (K.REINDEX_INDEX, "swollen"),
        (K.ANALYZE, 'swollen"; DROP TABLE users; --'),
        (K.ANALYZE, "nothing_like_it"),
        (K.EXACT_BLOAT, "pg_authid"),
    ],
)
def test_only_what_is_ours_by_the_catalogue(swollen, kind, target):
    with pytest.raises(Invalid) as refusal:
        ask(kind, target)
    assert "target" in refusal.value.errors
    assert MaintenanceRun.objects.count() == 0


def test_quotes_a_strange_name():
    execute('CREATE TABLE "Strange ""name; --" (id int)')
    try:
        assert 'Strange "name; --' in targets.choices("r")
        assert work(ask(K.ANALYZE, 'Strange "name; --')).state == "done"
    finally:
        execute('DROP TABLE "Strange ""name; --"')


def test_asked_for_twice_it_is_one_run_and_another_kind_waits(swollen):
    first = ask(K.VACUUM)
    assert ask(K.VACUUM).pk == first.pk
    with pytest.raises(Conflict, match="VACUUM of swollen is queued"):
        ask(K.ANALYZE)
    assert Job.objects.count() == 1


def test_a_target_that_went_away_meanwhile_fails_the_run(swollen):
    run = ask(K.VACUUM)
    execute("DROP TABLE swollen")
    work(run)
    assert (run.state, run.error) == ("failed", "swollen is not there any more.")


def test_closes_a_run_whose_job_is_gone(swollen):
    run = ask(K.VACUUM)
    execute("DELETE FROM jobs WHERE id = %s", run.job_id)
    assert asking.close_abandoned() == 1
    run.refresh_from_db()
    assert run.state == "failed"
    assert ask(K.VACUUM).pk != run.pk


def test_only_those_who_may(swollen):
    permissions.sync_groups()
    clerk = tenants.actor_of(make_user(Role.OPERATOR))
    with pytest.raises(Forbidden):
        ask(K.VACUUM, actor=clerk)
    run = ask(K.VACUUM)
    with pytest.raises(Forbidden):
        asking.cancel_maintenance(run_id=run.pk, actor=clerk)
