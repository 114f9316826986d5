"""What the queues are doing, for whoever watches by machine."""

from datetime import timedelta

import pytest
from django.utils import timezone

from khaacho.enums import Queue, Role
from khaacho.jobs.nodes import Node
from khaacho.models import Job, QueueSetting
from tests.api.clients import anonymous, assert_problem, make_person, signed_in
from tests.processes import free_port

pytestmark = pytest.mark.django_db

FIELDS = {
    "queue",
    "waiting",
    "active",
    "delayed",
    "retrying",
    "completed_1h",
    "failed_1h",
    "dead",
    "paused",
    "concurrency",
    "oldest_waiting_seconds",
    "wait_p95_ms",
    "run_p95_ms",
    "throughput_per_minute",
    "deduplicated_24h",
    "stalled_24h",
    "broker_depth",
}
PATHS = ("/api/v1/queues/stats", "/api/v1/queues/stats/")


def test_for_staff_alone():
    for path in PATHS:
        assert_problem(anonymous().get(path), 401, "not_authenticated")
        for role in (Role.RETAILER, Role.VENDOR):
            person = signed_in(make_person(role))
            assert_problem(person.get(path), 403, "permission_denied")
        assert signed_in(make_person(Role.OPERATOR)).get(path).status_code == 200


def test_every_figure_of_every_queue():
    moment = timezone.now()
    Job.objects.create(
        queue="reports",
        kind="k",
        state="done",
        coalesced=2,
        stalls=1,
        run_after=moment - timedelta(seconds=3),
        started_at=moment - timedelta(seconds=1),
        finished_at=moment,
    )
    Job.objects.create(queue="reports", kind="k")
    QueueSetting.objects.create(queue="reports", is_paused=True, reason="Audit.")
    Node("w1", ["reports"], 1).report(is_new=True)
    response = signed_in(make_person()).get(PATHS[0])
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    assert set(body) == {
        "redis",
        "sweep_last_run_seconds",
        "beat_last_tick_seconds",
        "workers",
        "queues",
    }
    assert [queue["queue"] for queue in body["queues"]] == list(Queue.values)
    assert {frozenset(queue) for queue in body["queues"]} == {frozenset(FIELDS)}
    assert (body["redis"], body["sweep_last_run_seconds"]) == ("ok", None)
    assert [(w["name"], w["queues"], w["concurrency"]) for w in body["workers"]] == [
        ("w1", ["reports"], 1)
    ]
    reports = next(queue for queue in body["queues"] if queue["queue"] == "reports")
    waited = reports.pop("oldest_waiting_seconds")
    assert 0 <= waited < 5
    assert reports.pop("wait_p95_ms") == pytest.approx(2000, rel=0.05)
    assert reports.pop("run_p95_ms") == pytest.approx(1000, rel=0.05)
    assert reports == {
        "queue": "reports",
        "waiting": 1,
        "active": 0,
        "delayed": 0,
        "retrying": 0,
        "completed_1h": 1,
        "failed_1h": 0,
        "dead": 0,
        "paused": True,
        "concurrency": 1,
        "throughput_per_minute": 0.2,
        "deduplicated_24h": 2,
        "stalled_24h": 1,
        "broker_depth": 0,
    }


def test_without_redis_the_counts_are_there(settings):
    Job.objects.create(queue="reports", kind="k")
    client = signed_in(make_person())
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = client.get(PATHS[0])
    assert response.status_code == 200
    body = response.json()
    assert body["redis"] == "down"
    assert {queue["broker_depth"] for queue in body["queues"]} == {None}
    assert sum(queue["waiting"] for queue in body["queues"]) == 1
