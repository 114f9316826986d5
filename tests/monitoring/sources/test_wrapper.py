"""Queries are counted as they are sent, and come out as if nobody counted."""

import logging
import traceback

import pytest
from django.db import DataError, IntegrityError, connection, connections, transaction
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho import jobs, origins, sql
from khaacho.enums import Queue, Role
from khaacho.jobs import kinds
from khaacho.models import Job, User
from monitoring.sources import wrapper
from monitoring.sources.shapes import fingerprint
from tests.api.clients import signed_in
from tests.factories import make_offer, make_order, make_retailer, make_user

pytestmark = pytest.mark.django_db


def counted(seen, text):
    """Return what was counted of a statement, whoever issued it."""
    return [c for (number, _), c in seen.seen.statements.items() if number == fingerprint(text)]


def test_every_new_connection_is_watched_but_the_monitors():
    assert wrapper.watch in connection.execute_wrappers
    assert connection.execute_wrappers.count(wrapper.watch) == 1
    wrapper.install(connection=connection)
    assert connection.execute_wrappers.count(wrapper.watch) == 1
    monitor = connections["default"].copy(alias="monitor")
    wrapper.install(connection=monitor)
    assert monitor.execute_wrappers == []


def test_counts_what_is_sent(seen):
    seen.forget()
    sql.fetch("SELECT %s::int", [1])
    sql.fetch("SELECT %s::int", [2])
    with connection.cursor() as cursor:
        cursor.executemany("SELECT %s::text", [("a",), ("b",)])
    (once,) = counted(seen, "SELECT $1::int")
    assert (once.calls, once.errors) == (3, 0)  # one form: the cast is the value's


def test_errors_are_counted_and_raised_as_they_are(seen):
    seen.forget()
    with pytest.raises(DataError, match="division by zero") as caught, transaction.atomic():
        sql.fetch("SELECT 1 / %s::int", [0])
    assert caught.value.__cause__.sqlstate == "22012"
    assert any(f.name == "fetch" for f in traceback.extract_tb(caught.value.__traceback__))
    (counts,) = counted(seen, "SELECT 1 / 0")
    assert (counts.calls, counts.errors) == (1, 1)


def test_transactions_and_savepoints_are_as_ever(seen):
    user = make_user()
    seen.forget()
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create(phone=user.phone)
        User.objects.filter(pk=user.pk).update(name="Hari")
        assert connection.in_atomic_block
        assert not connection.needs_rollback
    user.refresh_from_db()
    assert user.name == "Hari"
    assert sum(c.calls for c in counted(seen, "SAVEPOINT a")) == 2  # the test's is the outermost
    assert sum(c.calls for c in counted(seen, "ROLLBACK TO SAVEPOINT a")) == 1


@pytest.mark.parametrize("path", ["/admin/", "/admin/khaacho/user/"])
def test_asking_where_a_statement_comes_from_sends_none_itself(seen, path):
    """The lazy user of a request is on the stack while it is read, and must not be read again."""
    client = Client()
    client.force_login(make_user(Role.ADMIN, is_superuser=True))
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    users = [query for query in captured if 'WHERE "users"."id" = ' in query["sql"]]
    assert len(users) == 1


def test_a_fault_of_counting_is_no_fault_of_the_query(seen, caplog):
    token = origins.current.set(origins.Origin(key=None, request=object()))  # has no route
    try:
        with caplog.at_level(logging.ERROR):
            assert sql.fetch("SELECT 1") == [(1,)]
    finally:
        origins.current.reset(token)
    assert "sources.failed" in [record.message for record in caplog.records]


def test_a_soft_limit_that_comes_while_counting_is_not_swallowed(seen):
    class Late(origins.Origin):
        def found(self):
            raise TimeoutError("the job took longer than its soft limit")

    token = origins.current.set(Late())
    try:
        with pytest.raises(TimeoutError, match="soft limit"):
            sql.fetch("SELECT 1")
    finally:
        origins.current.reset(token)


def test_the_line_is_of_the_first_code_that_is_ours_and_no_plumbing(seen):
    shop, offer = make_retailer(credit_limit=10_000), make_offer()
    seen.forget()
    make_order(shop, offer)
    places = {place.file for c in seen.seen.statements.values() for place in c.places if place.file}
    assert any(file.startswith("orders/services/") for file in places)
    assert not places & {"khaacho/sql.py", "khaacho/db/base.py", "monitoring/sources/wrapper.py"}


def test_an_api_list_names_its_view_route_and_line(seen):
    shop = make_retailer()
    client = signed_in(shop.user)
    seen.forget()
    assert client.get("/api/v1/orders/").status_code == 200
    key = ("route", "orders", "GET")
    places = {p for (_, k), c in seen.seen.statements.items() if k == key for p in c.places}
    assert {(p.file, p.function) for p in places} == {("orders/api/views.py", "OrderList.rows")}
    with open("orders/api/views.py") as file:
        lines = file.readlines()
    (line,) = {p.line for p in places}
    assert lines[line - 1].strip().startswith("def rows")


def test_an_admin_list_names_its_admin(seen):
    boss = make_user(Role.ADMIN, is_superuser=True)
    client = Client()
    client.force_login(boss)
    seen.forget()
    assert client.get("/admin/orders/order/").status_code == 200
    key = ("route", "admin:orders_order_changelist", "GET")
    of_orders = [
        p
        for (number, k), c in seen.seen.statements.items()
        if k == key and "from orders" in seen.seen.forms[number]
        for p in c.places
    ]
    assert {p.file for p in of_orders} == {"orders/admin/orders.py"}


def test_a_request_counts_its_statements(seen):
    shop = make_retailer()
    client = signed_in(shop.user)
    client.get("/api/v1/orders/")
    seen.forget()
    client.get("/api/v1/orders/")
    client.get("/api/v1/orders/?limit=101")
    client.get("/api/v1/nowhere/")
    ended = seen.seen.ended
    listed = ended[("route", "orders", "GET"), "2xx"]
    assert listed.counts.calls == 1
    sent = sum(c.calls for (_, k), c in seen.seen.statements.items() if k[1] == "orders")
    assert listed.statements == sent > 0
    assert 0 < listed.database_seconds < listed.counts.seconds
    assert ended[("route", "orders", "GET"), "4xx"].counts.calls == 1
    assert ended[("route", "", "GET"), "4xx"].counts.calls == 1


def test_methods_are_few(seen):
    client = signed_in(make_retailer().user)
    client.generic("BREW", "/api/v1/orders/")
    keys = {key for key, _ in seen.seen.ended if key[0] == "route"}
    assert keys == {("route", "orders", "other")}


def touch(user_id):
    User.objects.filter(pk=user_id).update(name="Touched")


def fail():
    raise ValueError("no")


def test_a_job_counts_by_kind_and_outcome(seen, monkeypatch):
    user = make_user()
    for name in ("touch", "fail"):
        monkeypatch.setitem(kinds.known, f"tests.{name}", None)  # forgotten after the test
        del kinds.known[f"tests.{name}"]
        jobs.register(f"tests.{name}", f"{__name__}.{name}", queue=Queue.REPORTS)
    jobs.enqueue("tests.touch", {"user_id": user.pk})
    jobs.enqueue("tests.fail")
    seen.forget()
    while jobs.run_due(1):
        pass
    assert Job.objects.filter(state="done").count() == 1
    done = seen.seen.ended[("job", "tests.touch", ""), "done"]
    assert (done.counts.calls, done.statements > 1) == (1, True)
    assert seen.seen.ended[("job", "tests.fail", ""), "failed"].counts.calls == 1
    (update,) = [
        c
        for (number, key), c in seen.seen.statements.items()
        if key == ("job", "tests.touch", "") and seen.seen.forms[number].startswith("update users")
    ]
    (place,) = update.places
    assert (place.file, place.function) == ("tests/monitoring/sources/test_wrapper.py", "touch")


def test_a_streamed_body_is_made_for_its_request(seen):
    def parts():
        yield str(sql.fetch("SELECT 'streamed'")[0][0])

    origin = origins.Origin(("route", "download", "GET"))
    response = StreamingHttpResponse(parts())
    origins.answered(origin, 0.0, response)
    assert not seen.seen.ended
    assert b"".join(response) == b"streamed"
    response.close()
    response.close()
    assert seen.seen.ended[origin.key, "2xx"].counts.calls == 1
    assert seen.seen.ended[origin.key, "2xx"].statements == 1
    assert origins.current.get() is not origin


def test_a_body_that_nobody_reads_is_counted_when_it_is_closed(seen):
    origin = origins.Origin(("route", "download", "GET"))
    response = StreamingHttpResponse(iter(["a"]))
    origins.answered(origin, 0.0, response)
    response.close()
    assert seen.seen.ended[origin.key, "2xx"].counts.calls == 1


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["manage.py", "run_jobs", "--queue", "x"], ("command", "run_jobs", "")),
        (["/srv/manage.py"], ("command", "help", "")),
        (["/v/bin/celery", "-A", "khaacho", "worker", "-Q", "x"], ("process", "worker", "")),
        (["/v/bin/celery", "-A", "khaacho", "beat"], ("process", "beat", "")),
        (["/v/bin/gunicorn", "khaacho.wsgi"], ("process", "web", "")),
        ([], ("process", "", "")),
    ],
)
def test_a_process_is_named_by_how_it_was_started(arguments, key):
    assert origins.of_process(arguments) == key
