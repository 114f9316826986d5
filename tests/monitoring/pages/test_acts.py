"""Pages of tables, connections, pool, space and maintenance: they answer in every state, and ask before they act."""

import json
import re

import pytest
import redis
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from khaacho import jobs, permissions, sql
from khaacho.enums import Role
from khaacho.models import AuditLog, User
from monitoring.maintenance.runs import MaintenanceRun
from monitoring.pages import connections as connections_page
from monitoring.pages.connections import micros
from monitoring.sources import pool
from tests.admin.conftest import signed_in
from tests.factories import make_user
from tests.monitoring.sessions import chain, sessions, state_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

PAGES = ("tables", "connections", "pool", "space", "maintenance")


@pytest.fixture
def keeper(db):
    permissions.sync_groups()
    user = make_user(Role.OPERATOR)
    user.groups.add(permissions.Group.objects.get(name="Database"))
    return user


@pytest.fixture
def desk(keeper):
    return signed_in(keeper)


@pytest.fixture
def swollen():
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS swollen")
        cursor.execute("CREATE TABLE swollen (id int, note text) WITH (autovacuum_enabled = false)")
        cursor.execute(
            "INSERT INTO swollen SELECT n, repeat('x', 300) FROM generate_series(1, 10000) n"
        )
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("ANALYZE swollen")
        cursor.execute("DELETE FROM swollen WHERE id <= 5000")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    yield "swollen"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS swollen")


def page(desk, name, **query):
    response = desk.get(reverse(f"database-{name}"), query)
    assert response.status_code == 200
    text = response.content.decode()
    assert "monitoring_panel_failed" not in text
    return text


def part(text, panel):
    return text.split(f'id="panel-{panel}"')[1].split("</section>")[0]


def address(session, act):
    return reverse("database-session", args=[session.pid, micros(session.start), act])


@pytest.mark.parametrize("name", PAGES)
def test_answers_with_nothing_to_show(desk, name):
    text = page(desk, name)
    assert "remedy" not in text or name != "tables"


@pytest.mark.parametrize("name", PAGES)
def test_is_for_those_who_may_see_the_database(name):
    permissions.sync_groups()
    assert signed_in(make_user(Role.OPERATOR)).get(reverse(f"database-{name}")).status_code == 403


@pytest.mark.parametrize("name", PAGES)
def test_answers_while_the_monitoring_is_not_let_in(desk, name):
    monitor = connections["monitor"]
    before = monitor.settings_dict["PORT"]
    monitor.close()
    monitor.settings_dict["PORT"] = "1"
    try:
        text = page(desk, name)
    finally:
        monitor.settings_dict["PORT"] = before
    assert 'class="remedy"' in text


@pytest.mark.parametrize("name", PAGES)
def test_answers_while_a_table_is_locked(desk, swollen, name):
    with sessions("ddl") as (ddl,):
        ddl.do("LOCK TABLE swollen IN ACCESS EXCLUSIVE MODE")
        text = page(desk, name)
    if name in ("tables", "space"):
        assert "swollen" in text
        assert "locked" in text


@pytest.mark.parametrize(
    ("name", "most"), [("tables", 2), ("connections", 8), ("space", 8), ("maintenance", 5)]
)
def test_reads_with_a_fixed_number_of_statements(desk, name, most):
    page(desk, name)
    with chain("a", "b"), CaptureQueriesContext(connections["monitor"]) as few:
        page(desk, name)
    with chain("a", "b", "c", "d"), CaptureQueriesContext(connections["monitor"]) as many:
        page(desk, name)
    assert 0 < len(few) <= most
    assert len(many) == len(few)


def test_tables_show_dead_rows_beside_free_space(desk, swollen):
    row = page(desk, "tables").split(">swollen")[1].split("</tr>")[0]
    assert "5,000 " in row
    assert '<span class="badge bad">50.0 %</span>' in row
    assert '<span class="badge bad">off</span>' in row
    sql.execute("ANALYZE users")
    assert User.objects.count() % 5  # 50 and a fifth of the rows
    assert not re.search(
        r"at [\d,]*\.\d+ dead rows", page(desk, "tables")
    )  # a threshold is one of rows
    assert "statistics are stale" in row  # so that no estimate is shown
    for kind in ("analyze", "vacuum", "exact_bloat"):
        assert f'name="kind" value="{kind}"' in row


def test_tables_are_without_buttons_for_those_who_only_look(keeper, swollen):
    keeper.groups.clear()
    see = permissions.Permission.objects.get(codename="view_database")
    keeper.user_permissions.add(see)
    text = page(signed_in(keeper), "tables")
    assert "swollen" in text
    assert 'name="kind"' not in text
    refused = signed_in(keeper).post(
        reverse("database-maintenance-start"), {"kind": "vacuum", "target": swollen}
    )
    assert refused.status_code == 403


def test_maintenance_is_asked_for_then_done_then_read(desk, swollen):
    start = reverse("database-maintenance-start")
    asked = desk.post(start, {"kind": "vacuum", "target": swollen})
    assert asked.status_code == 200
    text = asked.content.decode()
    assert "VACUUM (VERBOSE) &quot;public&quot;.&quot;swollen&quot;" in text
    assert "<dd>5,000</dd>" in text  # dead rows
    assert MaintenanceRun.objects.count() == 0
    form = {"kind": "vacuum", "target": swollen, "_confirm": "1", "token": "once"}
    assert desk.post(start, form).status_code == 302
    assert desk.post(start, form).status_code == 200  # the form was sent already
    run = MaintenanceRun.objects.get()
    assert "queued" in part(page(desk, "maintenance"), "running")
    jobs.run(run.job_id)
    assert '<span class="badge good">done</span>' in part(page(desk, "maintenance"), "history")
    log = desk.get(reverse("database-maintenance-run", args=[run.pk])).content.decode()
    assert "5000 removed" in log
    assert desk.get(reverse("database-maintenance-run", args=[run.pk + 1])).status_code == 404


def test_maintenance_of_what_is_not_ours_is_refused(desk):
    response = desk.post(
        reverse("database-maintenance-start"), {"kind": "vacuum", "target": "pg_class"}, follow=True
    )
    assert "is none of ours" in response.content.decode()
    assert MaintenanceRun.objects.count() == 0


def test_maintenance_is_cancelled_on_its_page(desk, swollen):
    form = {"kind": "vacuum", "target": swollen, "_confirm": "1"}
    desk.post(reverse("database-maintenance-start"), form)
    run = MaintenanceRun.objects.get()
    cancel = reverse("database-maintenance-cancel", args=[run.pk])
    assert "Its statement is stopped" in desk.post(cancel).content.decode()
    desk.post(cancel, {"_confirm": "1"})
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_the_tree_goes_from_the_root_down(desk):
    with chain("root", "b", "c", "d") as links:
        text = part(page(desk, "connections"), "blocking")
        places = [text.index(f"<strong>{link.pid}</strong>") for link in links]
        assert places == sorted(places)
        said = re.search(r"(\d+) sessions wait", text)
        assert said
        assert int(said[1]) >= 3
        ours = text[places[0] : places[-1]]
        assert "blocks 3" in ours
        assert ours.count('<span class="badge bad">root</span>') == 1
        assert text.count("chain_of_locks") >= 3
        root = links[0]
        assert address(root, "terminate") in text
        assert address(root, "cancel") not in text  # it runs nothing
        assert address(links[1], "cancel") in text


def test_terminates_a_root_after_a_question_with_a_reason(desk, keeper):
    with chain("root", "b") as (root, b):
        url = address(root, "terminate")
        asked = desk.post(url).content.decode()
        assert f"<dd>sessions {b.pid}</dd>" in asked
        assert "UPDATE chain_of_locks SET n = 1 WHERE id = 1" in asked
        assert state_of(root.pid) is not None
        again = desk.post(url, {"_confirm": "1", "reason": " "})
        assert "This field is required" in again.content.decode()
        done = desk.post(url, {"_confirm": "1", "reason": "It blocks."}, follow=True)
        assert f"Session {root.pid} of root is gone." in done.content.decode()
        assert b.join() == "ok"
    entry = AuditLog.objects.get(action="session.terminated")
    assert (entry.user_id, entry.reason, entry.new_values["blocked"]) == (
        keeper.pk,
        "It blocks.",
        [b.pid],
    )


def test_says_that_another_session_has_the_number_by_now(desk):
    with sessions("victim") as (victim,):
        url = reverse("database-session", args=[victim.pid, micros(victim.start) + 1, "terminate"])
        answer = desk.post(url, {"_confirm": "1", "reason": "x"}, follow=True).content.decode()
        assert "belongs to another session by now; nothing was done" in answer
        assert state_of(victim.pid) is not None


def test_ending_sessions_is_a_right_of_its_own(keeper):
    keeper.groups.clear()
    keeper.user_permissions.add(permissions.Permission.objects.get(codename="view_database"))
    watcher = signed_in(keeper)
    with chain("root", "b") as (root, _b):
        assert "chain_of_locks" in page(watcher, "connections")
        assert address(root, "terminate") not in page(watcher, "connections")
        answer = watcher.post(address(root, "terminate"), {"_confirm": "1", "reason": "x"})
        assert answer.status_code == 403
        assert state_of(root.pid) is not None


def test_long_and_idle_transactions_say_where_they_come_from(desk, monkeypatch):
    monkeypatch.setattr(connections_page, "LONG_SECONDS", -1)
    with sessions("import") as (session,):
        session.do("SELECT 1 /*route='order-list',file='orders/api/views.py'*/")
        text = part(page(desk, "connections"), "long")
        assert f'<th scope="row">{session.pid}</th>' in text
        assert "route order-list" in text
        assert "does nothing" in text


def beat(name, **figures):
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(f"{pool.PREFIX}{name}", json.dumps(figures), ex=60)
        client.zadd(pool.NAMES, {name: 4_000_000_000})


def test_pools_are_added_up_over_processes(desk):
    assert "No process with a pool" in page(desk, "pool")
    beat(
        "web:1",
        pool_min=1,
        pool_max=5,
        pool_size=5,
        pool_available=0,
        requests_waiting=2,
        requests_num=1000,
        requests_queued=100,
        requests_wait_ms=5000,
        requests_errors=3,
    )
    beat("web:2", pool_min=1, pool_max=5, pool_size=3, pool_available=3, requests_num=500)
    text = page(desk, "pool")
    together = part(text, "together")
    assert "<strong>5</strong> <span>of 10 connections in use" in together
    assert "<strong>2</strong> <span>requests wait" in together
    assert "1 pool is exhausted" in together
    assert "<strong>1,500</strong>" in together
    assert "100 had to wait (6.7 %), 50 ms on average" in together
    rows = part(text, "processes")
    assert rows.index("web:1") < rows.index("web:2")
    assert rows.count("exhausted") == 1
    assert "fits" in part(text, "room")


def test_says_when_redis_is_down(desk, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    text = page(desk, "pool")
    assert "Redis does not answer" in part(text, "together")
    assert "redis-cli -h 127.0.0.1 -p 1 ping" in text


def test_space_names_who_holds_vacuum_back(desk, swollen):
    with sessions("long report") as (reader,):
        reader.do("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.do("SELECT count(*) FROM swollen")
        text = page(desk, "space")
        assert f"session {reader.pid} " in part(text, "holders")
        assert address(reader, "terminate") in part(text, "holders")
    assert "no samples yet" in part(text, "growth")
    assert "this one" in part(text, "ids")
    assert "orders_id_seq" in part(text, "sequences") or "_id_seq" in part(text, "sequences")
    assert "swollen" in part(text, "tables")
