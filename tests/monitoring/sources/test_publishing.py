"""From a request to a line of code, through what processes publish: sums of all, and nothing fails without."""

import os
import random
import time
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from khaacho import jobs, purging, sql
from monitoring import durations
from monitoring.models import OriginSpan, StatementForm, StatementPlace, StatementSpan
from monitoring.sources import keeping, publishing, selectors
from monitoring.sources.recorder import bucket
from monitoring.sources.shapes import fingerprint
from tests.api.clients import signed_in
from tests.factories import advance, make_offer, make_order, make_retailer
from tests.processes import free_port, process, wait_for

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

KEY = ("route", "orders", "GET")
COUNTED = (
    "SELECT queryid, sum(calls) FROM monitor.statements(false) WHERE toplevel GROUP BY queryid"
)
HOUR = timedelta(hours=1)


def lately():
    return timezone.now() - HOUR, timezone.now() + HOUR


def queryids(pattern):
    """Return the queryids of pg_stat_statements for this database whose text is like the pattern."""
    rows = sql.fetch(
        "SELECT DISTINCT queryid FROM monitor.statements(true) WHERE query LIKE %s"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query NOT LIKE '%%monitor.statements%%'",
        [pattern],
    )
    return [row[0] for row in rows]


def test_from_the_request_to_the_line_by_queryid(seen):
    shop = make_retailer(credit_limit=10_000)
    make_order(shop, make_offer())
    client = signed_in(shop.user)
    before = dict(sql.fetch(COUNTED))
    seen.forget()
    for _ in range(3):
        assert client.get("/api/v1/orders/").status_code == 200
    assert publishing.publish()
    calls = dict(sql.fetch(COUNTED))
    (queryid,) = (  # other tests ask for other lists of orders
        each
        for each in queryids('%json_build_object%order_number%FROM "orders"%LIMIT%OFFSET%')
        if calls[each] == before.get(each, 0) + 3
    )
    (issuer,) = selectors.issuers(queryid)
    assert (issuer.file, issuer.function) == ("orders/api/views.py", "OrderList.rows")
    assert (issuer.kind, issuer.name, issuer.method) == KEY
    assert issuer.origin == "GET orders"
    assert issuer.place == f"orders/api/views.py:{issuer.line}"
    assert (issuer.model, issuer.calls, issuer.errors) == ("orders.Order", 3, 0)
    assert issuer.share == pytest.approx(1)
    assert 0 < issuer.p50_ms <= issuer.p95_ms <= issuer.p99_ms
    taken = selectors.statement_percentiles(queryid, *lately())
    assert (taken.calls, taken.p99_ms) == (3, issuer.p99_ms)
    route = next(r for r in selectors.routes(*lately()) if r.name == "orders")
    assert (route.requests, route.errors, route.method) == (3, 0, "GET")
    assert route.statements >= 1
    assert 0 < route.database_ms < route.mean_ms


def test_what_the_application_sends_is_found_by_its_queryid(seen):
    """Each statement that PostgreSQL counted for a day's trade has an issuer.

    But for transactions, what triggers send as they commit, and the publisher's own.
    """
    shop = make_retailer(credit_limit=100_000)
    offers = [make_offer(stock=1000) for _ in range(3)]
    client = signed_in(shop.user)
    before = dict(sql.fetch(COUNTED))
    seen.forget()
    order = make_order(shop, offers[0])
    make_order(shop, offers[1])
    advance(order, "DELIVERED")
    for path in (
        "orders/",
        "products/?search=tea",
        "credit/ledger/?cursor=",
        "credit/",
        "dashboard/",
    ):
        assert client.get(f"/api/v1/{path}").status_code == 200
    jobs.run_due(50)
    assert publishing.publish()
    rows = sql.fetch(
        "SELECT queryid, query FROM monitor.statements(true) WHERE toplevel"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query !~* '^(begin|commit|rollback$|set |select pg_stat|show )' AND query NOT LIKE '%%told%%'"
    )
    published = set(StatementForm.objects.values_list("fingerprint", flat=True))
    of_triggers = ("FROM ONLY ", "wanted.id", "TG_TABLE_NAME")
    calls = dict(sql.fetch(COUNTED))
    texts = {
        queryid: text
        for queryid, text in rows
        if calls.get(queryid, 0) > before.get(queryid, 0)
        and not any(part in text for part in ("monitor.", *of_triggers))
    }
    unknown = [text for text in texts.values() if fingerprint(text) not in published]
    # One text or, before PostgreSQL 17, one of each name.
    assert sum("SAVEPOINT " not in text for text in texts.values()) > 50
    assert any(text.startswith("SAVEPOINT ") for text in texts.values())
    assert unknown == [], "\n".join(unknown)
    found = selectors.issuers_of({queryid: [text] for queryid, text in texts.items()})
    assert all(found.values())
    placed = [issuer for each in found.values() for issuer in each if issuer.file]
    assert len(placed) == sum(len(each) for each in found.values())


def test_nobody_issues_what_is_not_known():
    assert selectors.issuers(42) == []
    taken = selectors.statement_percentiles(42, *lately())
    assert (taken.calls, taken.p50_ms) == (0, None)


def test_rows_are_sums(seen):
    chance = random.Random(3)
    exact = []
    for _ in range(4):
        for _ in range(500):
            seconds = chance.lognormvariate(-5, 1)
            exact.append(seconds)
            seen.note("SELECT a FROM orders WHERE b = %s", KEY, seconds, seconds > 0.05)
            seen.end(KEY, "2xx", seconds, 2, seconds / 2)
        seen.end(KEY, "5xx", 0.001, 1, 0.0)
        assert publishing.publish()
    spans = list(StatementSpan.objects.all())
    assert sum(span.calls for span in spans) == 2000
    assert sum(span.errors for span in spans) == sum(seconds > 0.05 for seconds in exact)
    number = fingerprint("SELECT a FROM orders WHERE b = 1")
    assert {span.fingerprint for span in spans} == {number}
    (issuer,) = selectors.issuers_of({7: ["SELECT a FROM orders WHERE b = $1"]})[7]
    exact.sort()
    for share, found in ((0.5, issuer.p50_ms), (0.95, issuer.p95_ms), (0.99, issuer.p99_ms)):
        true = exact[int(share * 2000) - 1] * 1000
        assert found == pytest.approx(true, rel=durations.ERROR + 1e-9, abs=0.001)
    (route,) = selectors.routes(*lately())
    assert (route.requests, route.errors) == (2004, 4)
    assert route.statements == round(4004 / 2004, 2)
    assert StatementForm.objects.count() == 1
    assert OriginSpan.objects.filter(outcome="5xx").count() >= 1


def test_windows_leave_out_what_is_outside():
    def span(since, **fields):
        StatementSpan.objects.create(
            since=since, fingerprint=5, kind="job", name="k", method="", calls=1, errors=0,
            microseconds=1000, buckets={bucket(0.001): 1}, **fields,
        )  # fmt: skip

    now = timezone.now().replace(minute=30, second=0, microsecond=0)
    for minutes in (-60, -10, -5, 0, 5, 10):
        span(now + timedelta(minutes=minutes))
    found = selectors.access.fetch(
        selectors.STATEMENTS,
        {"fingerprints": [5], **selectors._window(now, now + timedelta(minutes=7))},
    )
    assert found[0][4] == 2  # those of 0 and 5 minutes: whole spans that the window touches


def test_without_the_database_nothing_fails_and_nothing_is_lost(seen):
    seen.note("SELECT 1", KEY, 0.001, False)
    default = connections["default"]
    port, default.settings_dict["PORT"] = default.settings_dict["PORT"], str(free_port())
    host, default.settings_dict["HOST"] = default.settings_dict["HOST"], "127.0.0.1"
    try:
        assert publishing.publish() is False
        seen.note("SELECT 1", KEY, 0.001, False)
    finally:
        default.settings_dict["PORT"], default.settings_dict["HOST"] = port, host
    assert publishing.publish() is True
    assert StatementSpan.objects.get().calls == 2


def test_publishing_waits_for_no_lock_for_long(seen):
    seen.note("SELECT 1", KEY, 0.001, False)
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE statement_spans IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        assert publishing.publish() is False
        assert time.monotonic() - begun < 30  # two seconds, and room
    finally:
        other.rollback()
        other.close()
    assert publishing.publish() is True
    assert StatementSpan.objects.get(kind="route").calls == 1


def test_its_own_queries_are_not_counted(seen):
    seen.note("SELECT 1", KEY, 0.001, False)
    publishing.publish()
    assert seen.seen.is_empty


def test_names_that_json_cannot_hold(seen):
    seen.note("SELECT 'a\0\ud800'", ("job", "bad\0\ud800", ""), 0.001, False)
    seen.note('SELECT "a\0\ud800" FROM t', KEY, 0.001, False)
    assert publishing.publish()
    assert StatementSpan.objects.get(kind="job").name == "bad?"


def test_what_is_old_is_purged():
    now = timezone.now()
    for days in (29, 31):
        moment = now - timedelta(days=days)
        common = {"kind": "job", "name": "k", "method": ""}
        StatementForm.objects.create(fingerprint=days, form="select ?", seen_at=moment)
        StatementPlace.objects.create(
            fingerprint=days, file="a.py", line=1, function="f", samples=1, seen_at=moment, **common
        )
        StatementSpan.objects.create(
            fingerprint=days, since=moment, calls=1, errors=0, microseconds=1, buckets={}, **common
        )
        OriginSpan.objects.create(
            since=moment, outcome="done", ended=1, microseconds=1, statements=0,
            database_microseconds=0, buckets={}, **common,
        )  # fmt: skip
    assert {part().name for part in keeping.PARTS} <= {part.name for part in purging.parts()}
    for _ in purging.run():
        pass
    for model in (StatementForm, StatementPlace, StatementSpan, OriginSpan):
        assert model.objects.count() == 1, model


COUNTING = """
import os, sys, django
sys.argv = ["manage.py", "count_for_a_test"]
django.setup()
from khaacho import sql
for number in range(int(os.environ["TIMES"])):
    sql.fetch("SELECT 'counted for a test', %s::int", [number])
"""


@pytest.mark.processes
def test_processes_add_up_and_say_their_last_words(tmp_path):
    times = {"TIMES": "30", "DJANGO_SETTINGS_MODULE": "khaacho.settings", "SOURCES_SECONDS": "3600"}
    log = tmp_path / "log"
    with (
        process("-c", COUNTING, log=log, **times) as one,
        process("-c", COUNTING, log=log, **times | {"TIMES": "12"}) as other,
    ):
        assert (one.wait(60), other.wait(60)) == (0, 0), log.read_text()
    number = fingerprint("SELECT 'x', 1")
    spans = StatementSpan.objects.filter(fingerprint=number)
    assert sum(span.calls for span in spans) == 42, log.read_text()
    assert {(s.kind, s.name, s.method) for s in spans} == {("command", "count_for_a_test", "")}


@pytest.mark.processes
def test_a_running_process_publishes_by_the_clock(tmp_path):
    code = COUNTING + "import time\ntime.sleep(600)\n"
    env = {"TIMES": "5", "DJANGO_SETTINGS_MODULE": "khaacho.settings", "SOURCES_SECONDS": "0.5"}
    with process("-c", code, log=tmp_path / "log", **env):
        wait_for(StatementSpan.objects.exists, seconds=60, what="a span")
    number = fingerprint("SELECT 'x', 1")
    assert StatementSpan.objects.get(fingerprint=number).calls == 5


@pytest.mark.processes
def test_a_child_that_does_jobs_publishes_before_it_ends(tmp_path):
    with transaction.atomic():
        jobs.enqueue("monitoring.count_jobs")
    env = {"SOURCES_SECONDS": "3600"}
    with process("manage.py", "run_jobs", "--drain", log=tmp_path / "log", **env) as worker:
        worker.wait(60)
    done = OriginSpan.objects.filter(kind="job", name="monitoring.count_jobs", outcome="done")
    assert [span.ended for span in done] == [1], (tmp_path / "log").read_text()


@pytest.mark.processes
def test_a_forked_child_starts_a_publisher_of_its_own(settings, seen):
    settings.SOURCES_SECONDS = 3600.0
    try:
        publishing.start()
        assert publishing._publisher is not None
        child = os.fork()
        if child == 0:
            os._exit(0 if publishing._publisher is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        publishing.stop()
    assert publishing._publisher is None
