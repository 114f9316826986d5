"""What Prometheus reads: by its own parser, whoever counted, and never backwards."""

import math
import os
import signal
from ipaddress import ip_network

import pytest
from django.db import connections
from prometheus_client.parser import text_string_to_metric_families

from khaacho import jobs, sql
from khaacho.enums import Role
from khaacho.models import Job
from monitoring import exposition, metrics
from monitoring.sources import publishing
from monitoring.sources.recorder import bucket, recorder
from tests.api.clients import anonymous, make_person, signed_in
from tests.khaacho.planting import lines_of, logging_to
from tests.processes import free_port, process, wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "monitor"]),
]
TOKEN = "a-token-of-16-and-more"
REQUESTS = "khaacho_http_request_duration_seconds"


@pytest.fixture(autouse=True)
def seen():
    """The recorder, which has seen nothing, and leaves nothing to the next test."""
    publishing._told.clear()
    recorder.forget()
    yield recorder
    recorder.forget()


@pytest.fixture
def ask(settings):
    """Return how to read the page: samples by name and labels."""
    settings.METRICS_TOKEN = TOKEN

    def read() -> dict:
        answer = anonymous(headers={"Authorization": f"Bearer {TOKEN}"}).get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(answer.content.decode())

    return read


def parsed(text: str) -> dict:
    """Return samples by name and labels, having checked what the format demands."""
    samples, names = {}, set()
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.name not in names, "a family comes in one piece"
        names.add(family.name)
        assert family.name.startswith("khaacho_")
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples, key
            samples[key] = sample.value
    return samples


def value(samples: dict, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_who_may_read_it(settings, tmp_path):
    def knock(**headers: str) -> int:
        return anonymous(headers=headers).get("/metrics").status_code

    admin = signed_in(make_person(Role.ADMIN))
    assert knock() == 404
    assert admin.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    with logging_to(tmp_path):
        assert knock() == 403
    [refused] = lines_of(tmp_path, "rejections")
    assert (refused["path"], refused["status"], refused["code"]) == (
        "/metrics",
        403,
        "permission_denied",
    )
    assert admin.get("/metrics").status_code == 403
    assert knock(Authorization=f"Bearer {TOKEN}x") == 403
    assert knock(Authorization=f"Basic {TOKEN}") == 403
    assert knock(Authorization="Bearer ") == 403
    assert knock(Authorization=f"Bearer {TOKEN}") == 200
    settings.METRICS_TOKEN = ""
    settings.METRICS_NETWORKS = [ip_network("10.0.0.0/8")]
    assert knock() == 403
    assert knock(Authorization="Bearer ") == 403
    settings.METRICS_NETWORKS.append(ip_network("127.0.0.1"))
    assert knock() == 200
    assert knock(X_Forwarded_For="10.1.2.3") == 200
    settings.METRICS_NETWORKS.pop()
    assert anonymous(REMOTE_ADDR="10.1.2.3").get("/metrics").status_code == 200


def test_requests_are_counted_by_route_method_and_status(ask, seen):
    for _ in range(3):
        assert anonymous().get("/livez").status_code == 200
    assert anonymous().get("/api/v1/orders/").status_code == 401
    assert publishing.publish()
    samples = ask()
    livez = {"route": "livez", "method": "GET", "status": "2xx"}
    assert value(samples, f"{REQUESTS}_count", **livez) == 3
    assert value(samples, f"{REQUESTS}_bucket", le="+Inf", **livez) == 3
    assert 0 < value(samples, f"{REQUESTS}_sum", **livez) < 3
    orders = {"route": "orders", "method": "GET", "status": "4xx"}
    assert value(samples, f"{REQUESTS}_count", **orders) == 1


def test_buckets_rise_and_end_with_the_count(ask, seen):
    for seconds in (0.0001, 0.004, 0.03, 0.03, 0.7, 8.0, 100.0):
        seen.end(("job", "test.kind", ""), "done", seconds, 2, seconds / 2)
    assert publishing.publish()
    samples = ask()
    of = {"kind": "test.kind", "outcome": "done"}
    found = {
        dict(labels)["le"]: count
        for (name, labels), count in samples.items()
        if name == "khaacho_job_duration_seconds_bucket" and frozenset(of.items()) <= labels
    }
    bounds = sorted(found, key=lambda le: math.inf if le == "+Inf" else float(le))
    counts = [found[le] for le in bounds]
    assert counts == sorted(counts)
    assert len(bounds) == len(exposition.EDGES) + 1
    assert [count for le, count in zip(bounds, counts, strict=True) if float(le) < 0.0011] == [1]
    assert counts[-2:] == [6, 7]
    assert value(samples, "khaacho_job_statements_total", kind="test.kind") == 14
    database = value(samples, "khaacho_job_database_seconds_total", kind="test.kind")
    assert database == pytest.approx(54.38205, abs=1e-5)


@pytest.mark.parametrize("seconds", [0.0005, 0.001, 0.00099, 0.24, 0.26, 1.0, 29.0, 31.0])
def test_no_duration_is_on_the_wrong_side_of_a_bound(seconds):
    for bound, count in exposition.cumulated({bucket(seconds): 1}):
        if bound != "+Inf" and abs(float(bound) - seconds) / seconds > 0.001:
            assert count == (seconds <= float(bound)), bound


def test_sums_never_shrink_whatever_becomes_of_processes_and_spans(ask, seen):
    def count() -> float:
        found = value(ask(), f"{REQUESTS}_count", route="r", method="GET", status="2xx")
        assert found is not None
        return found

    def publish(requests: int) -> None:
        for _ in range(requests):
            seen.end(("route", "r", "GET"), "2xx", 0.01, 1, 0.001)
        assert publishing.publish()

    publish(5)
    assert count() == 5
    seen.forget()  # a process ends, another begins
    publish(2)
    assert count() == 7
    sql.execute("DELETE FROM origin_spans")  # the purge
    assert count() == 7


def test_statements_and_questions_to_redis(ask, seen):
    anonymous().get("/api/v1/orders/")  # counted by the rate limits
    seen.note("SELECT 1", ("route", "r", "GET"), 0.002, False)
    seen.note("SELECT 1", ("route", "q", "GET"), 0.002, True)
    assert publishing.publish()
    samples = ask()
    assert value(samples, "khaacho_database_statement_errors_total", origin="route") == 1
    statements = value(samples, "khaacho_database_statement_duration_seconds_count", origin="route")
    assert statements is not None
    assert statements >= 2
    assert value(samples, "khaacho_cache_request_duration_seconds_count", outcome="done") == 1
    assert sql.fetch("SELECT count(*) FROM origin_spans WHERE kind = 'cache'") == [(0,)]


def test_gauges_are_read_now(ask):
    Job.objects.create(queue="reports", kind="k", state="dead")
    late = Job.objects.create(queue="whatsapp", kind="k")
    sql.execute("UPDATE jobs SET run_after = now() - interval '2 minutes' WHERE id = %s", [late.pk])
    jobs.Node("w@1", ["reports"], 3).report()
    jobs.Node(jobs.nodes.BEAT).report()
    samples = ask()
    assert value(samples, "khaacho_queue_jobs", queue="reports", state="dead") == 1
    assert value(samples, "khaacho_queue_jobs", queue="whatsapp", state="due") == 1
    assert value(samples, "khaacho_queue_oldest_seconds", queue="whatsapp") == pytest.approx(
        120, abs=10
    )
    assert value(samples, "khaacho_workers") == 1
    assert value(samples, "khaacho_worker_slots") == 3
    assert 0 <= value(samples, "khaacho_beat_age_seconds") < 10
    assert value(samples, "khaacho_sweep_age_seconds") is None
    own = {
        key[1]: each for key, each in samples.items() if key[0] == "khaacho_database_connections"
    }
    assert sum(own.values()) >= 1
    assert value(samples, "khaacho_build_info", version="0.1.0") == 1
    assert value(samples, "khaacho_pool_processes") == 0
    parts = {dict(key[1])["part"] for key in samples if key[0] == "khaacho_scrape_part_success"}
    assert parts == set(metrics.PARTS)


def test_what_cannot_be_read_is_missing_and_says_so(ask, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    samples = ask()
    assert value(samples, "khaacho_scrape_part_success", part="pools") == 0
    assert value(samples, "khaacho_scrape_part_success", part="queues") == 1
    assert value(samples, "khaacho_pool_size") is None


def test_without_a_database_it_still_answers(ask, monkeypatch):
    for alias in ("monitor", "default"):
        monkeypatch.setitem(connections[alias].settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connections[alias].settings_dict, "PORT", str(free_port()))
    connections["monitor"].close()
    samples = ask()
    assert value(samples, "khaacho_scrape_part_success", part="totals") == 0
    assert value(samples, "khaacho_build_info", version="0.1.0") == 1


def test_labels_are_escaped():
    page = exposition.Exposition()
    page.family("khaacho_x", "gauge", "x")
    page.sample("khaacho_x", 1, of='a "b"\\\nc')
    assert list(parsed(page.text())) == [("khaacho_x", frozenset({("of", 'a "b"\\\nc')}))]


def test_a_full_page_is_cheap(ask, seen, django_assert_num_queries):
    """As many routes as the site has, each with several outcomes; statements do not grow with rows."""
    for number in range(150):
        for outcome in ("2xx", "4xx"):
            for step in range(30):
                seen.end(("route", f"r{number}", "GET"), outcome, 1e-4 * 1.3**step, 1, 0.0)
    assert publishing.publish()
    connections["monitor"].ensure_connection()
    samples = ask()
    assert len(samples) > 5_000
    with django_assert_num_queries(0):  # of the pool
        metrics.exposition()


@pytest.mark.processes
@pytest.mark.patient
def test_a_process_that_ends_has_told_and_one_that_is_killed_takes_nothing_back(ask):
    """Commands of their own, one after the other, add up; counts of what was told stay."""

    def statements() -> float:
        name = "khaacho_database_statement_duration_seconds_count"
        return value(ask(), name, origin="command") or 0

    code = (
        "import sys, time; sys.argv = ['manage.py', 'x']; import django; django.setup();"
        "from khaacho import sql; sql.fetch('SELECT 1');"
        "from monitoring.sources import publishing; publishing.publish(); print('told', flush=True);"
        "time.sleep(60 if sys.stdin else 0)"
    )
    before = statements()
    with process("-c", code, SOURCES_SECONDS="60") as first:
        wait_for(lambda: statements() > before, seconds=40, what="the first to tell")
        told = statements()
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert statements() == told
    with process("-c", code, SOURCES_SECONDS="60"):
        wait_for(lambda: statements() > told, seconds=40, what="the second to tell")
    assert statements() - told == told - before
