"""Who does jobs is read from SQL: nodes report themselves and leave, beat and the sweep leave a sign."""

import os
import signal
import time
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.utils import timezone

from khaacho import heartbeat, job_desk, jobs, schedules, sql
from khaacho.actors import SYSTEM
from khaacho.heartbeat import Heartbeat
from khaacho.jobs import Node
from khaacho.models import WorkerNode
from tests.khaacho.conftest import enqueue, state
from tests.khaacho.test_processes import CELERY, RUN_JOBS, ready, worker
from tests.khaacho.test_schedules import make_scheduler
from tests.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def names() -> list[str]:
    return [node.name for node in jobs.live_nodes()]


def age(name: str, seconds: float) -> None:
    WorkerNode.objects.filter(name=name).update(seen_at=timezone.now() - timedelta(seconds=seconds))


def test_a_node_lives_for_half_a_minute_after_it_was_seen():
    for name in ("one@here", "two@here"):
        Node(name, ["reports"], 2).report(is_new=True)
    assert names() == ["one@here", "two@here"]
    age("one@here", 31)
    age("two@here", 29)
    assert names() == ["two@here"]
    Node("one@here", ["reports", "whatsapp"], 3).report()
    node = jobs.live_nodes()[0]
    assert (node.name, node.queues, node.concurrency) == ("one@here", ["reports", "whatsapp"], 3)
    Node("one@here").leave()
    assert names() == ["two@here"]


def test_a_node_that_starts_again_under_its_name_is_new():
    Node("one@here", [], 1).report(is_new=True)
    WorkerNode.objects.update(started_at="2026-01-01T00:00:00Z")
    Node("one@here", [], 1).report()
    assert WorkerNode.objects.get().started_at.isoformat() == "2026-01-01T00:00:00+00:00"
    Node("one@here", [], 1).report(is_new=True)
    assert timezone.now() - WorkerNode.objects.get().started_at < timedelta(minutes=1)


def test_the_sweeps_last_run():
    assert jobs.sweep_last_run_seconds() is None
    jobs.sweep()
    assert 0 <= jobs.sweep_last_run_seconds() < 5
    age("sweep", 90)
    assert 90 <= jobs.sweep_last_run_seconds() < 95
    assert names() == []


def test_beats_last_tick():
    assert schedules.beat_last_tick_seconds() is None
    beat = make_scheduler()
    beat.tick()
    assert 0 <= schedules.beat_last_tick_seconds() < 5
    age("beat", 90)
    beat.tick()  # too soon after the last to be worth a statement
    assert schedules.beat_last_tick_seconds() > 89
    beat.noted_at -= 5
    beat.tick()
    assert schedules.beat_last_tick_seconds() < 5


def sessions() -> int:
    row = sql.fetch_one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    assert row
    return int(row[0])


def test_a_heartbeat_reports_between_times_without_a_connection_and_leaves(monkeypatch):
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", 0.2)
    before = sessions()
    beating = Heartbeat(Node("one@here", ["reports"], 2))
    beating.start()
    wait_for(lambda: names() == ["one@here"])
    age("one@here", 60)
    wait_for(lambda: names() == ["one@here"], what="the next report")
    wait_for(lambda: sessions() == before, what="its connection to close")
    beating.stop()
    assert not beating.is_alive()
    assert not WorkerNode.objects.exists()


def test_a_heartbeat_survives_a_database_that_is_away(monkeypatch, caplog):
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", 0.1)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE worker_nodes RENAME TO gone")
    try:
        beating = Heartbeat(Node("one@here", ["reports"], 2))
        beating.start()
        wait_for(lambda: len(caplog.records) >= 3, what="failures to be logged")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO worker_nodes")
    wait_for(lambda: names() == ["one@here"])
    beating.stop()
    assert {record.message for record in caplog.records} == {"heartbeat.failed"}


@pytest.mark.processes
def test_a_worker_is_there_while_it_runs_and_gone_when_it_stops(tmp_path, redis_url):
    redis.Redis.from_url(redis_url).flushall()  # pointers of other tests, which would come first
    log = tmp_path / "log"
    with worker(log, "-c", "3", "-Q", "reports,whatsapp", "-n", "first@here") as running:
        wait_for(lambda: ready(log), seconds=30, what="the worker")
        wait_for(lambda: names() == ["first@here"])
        node = jobs.live_nodes()[0]
        assert (node.queues, node.concurrency) == (["reports", "whatsapp"], 3)
        job_id = enqueue("test.die")  # a child dies, another is forked
        wait_for(lambda: "signal 9" in log.read_text(), what="a child to die")
        other = enqueue("test.note", {"label": "a"})
        wait_for(lambda: state(other) == "done")
        assert (state(job_id), names()) == ("running", ["first@here"])
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(20) == 0
    assert not WorkerNode.objects.exists()


@pytest.mark.processes
def test_direct_mode_is_a_node_of_one(tmp_path):
    log = tmp_path / "log"
    with process(*RUN_JOBS, "--queue", "reports", log=log) as direct:
        wait_for(lambda: len(names()) == 1, seconds=30)
        node = jobs.live_nodes()[0]
        assert node.name.startswith("direct@")
        assert node.name.endswith(f":{direct.pid}")
        assert (node.queues, node.concurrency) == (["reports"], 1)
        assert jobs.sweep_last_run_seconds() is not None
        direct.send_signal(signal.SIGTERM)
        assert direct.wait(10) == 0
    assert names() == []


@pytest.mark.processes
def test_beat_leaves_its_sign(tmp_path):
    arguments = (*CELERY, "beat", "-l", "info", "--pidfile", "", "--max-interval", "1")
    with process(*arguments, log=tmp_path / "log"):
        wait_for(lambda: schedules.beat_last_tick_seconds() is not None, seconds=30)
    assert schedules.beat_last_tick_seconds() < 30


@pytest.mark.processes
def test_a_worker_works_while_its_queue_is_paused_and_goes_on_when_it_is_resumed(
    tmp_path,
):
    log = tmp_path / "log"
    with worker(log, "-c", "2", "-n", "paused@here"):
        wait_for(lambda: ready(log), seconds=30, what="the worker")
        busy = enqueue("test.note_slowly", {"label": "busy", "seconds": 1})
        wait_for(lambda: state(busy) == "running")
        job_desk.pause("reports", "a look at the disk", SYSTEM)
        waiting = [enqueue("test.note", {"label": str(n)}) for n in range(5)]
        other = enqueue("test.call_network", {"label": "other"})
        wait_for(lambda: state(other) == state(busy) == "done")
        wait_for(lambda: _unpublished() == 5, what="the worker to let the pointers go")
        time.sleep(0.5)
        assert {state(pk) for pk in waiting} == {"queued"}
        job_desk.resume("reports", SYSTEM)
        assert jobs.sweep() == 5
        wait_for(lambda: {state(pk) for pk in waiting} == {"done"})


def _unpublished() -> int:
    row = sql.fetch_one("SELECT count(*) FROM jobs WHERE state = 'queued' AND published_at IS NULL")
    assert row
    return int(row[0])
