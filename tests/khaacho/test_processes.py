"""Real workers, beats and run_jobs processes, killed, starved of Redis, and racing each other."""

import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from khaacho import jobs, schedules, sql
from khaacho.celery import app
from khaacho.models import Job
from tests.khaacho.conftest import enqueue, state, states
from tests.khaacho.kinds import effects
from tests.processes import RedisServer, free_port, process, redis_server, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

CELERY = ("-m", "celery", "-A", "tests.khaacho.worker_app")
WORKER = (
    *CELERY,
    "worker",
    "-l",
    "info",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)
RUN_JOBS = ("-m", "tests.khaacho.manage", "run_jobs")
NOWHERE = f"redis://127.0.0.1:{free_port()}/0"


def worker(log: Path, *options: str, **env: str):
    return process(*WORKER, *options, log=log, JOB_LEASE_MARGIN_SECONDS="0.5", **env)


def ready(log: Path) -> bool:
    return " ready." in log.read_text()


def swept_until(job_id: int, wanted: str) -> None:
    def happened() -> bool:
        jobs.sweep()
        return state(job_id) == wanted

    wait_for(happened, what=f"job {job_id} {wanted}, is {state(job_id)}")


def note(label: str) -> int:
    job_id = enqueue("test.note", {"label": label})
    assert job_id
    return job_id


class Node:
    """A Celery worker on all queues, with a Redis of its own."""

    def __init__(self, server: RedisServer, log: Path) -> None:
        self.server, self.log = server, log


@pytest.fixture(scope="module")
def _node(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Node]:
    log = tmp_path_factory.mktemp("worker") / "log"
    with (
        redis_server() as server,
        django_db_blocker.unblock(),
        worker(log, "-c", "2", REDIS_URL=server.url, CELERY_BROKER_URL=server.url),
    ):
        wait_for(lambda: ready(log), seconds=30, what="the worker")
        yield Node(server, log)


@pytest.fixture
def node(_node: Node, settings) -> Iterator[Node]:
    """The worker, and a publisher that takes no busy machine for a dead Redis; shows what it logged."""
    settings.CELERY_BROKER_URL = _node.server.url
    settings.REDIS_TIMEOUT = 5
    settings.JOB_REPUBLISH_SECONDS = 0.3
    settings.JOB_LEASE_MARGIN_SECONDS = 0.5
    begun = len(_node.log.read_text())
    yield _node
    print(_node.log.read_text()[begun:])  # pytest shows it of a test that fails


@pytest.mark.usefixtures("_request_id")
def test_worker_does_jobs_of_every_queue_and_logs_their_request(node):
    ids = [
        note("a"),
        enqueue("test.call_network", {"label": "b"}),
        enqueue("test.fail", {"label": "c"}),
    ]
    wait_for(lambda: states() == ["done", "done", "queued"], what=str(states()))
    assert sorted(effects()) == ["a", "b 1"]
    job = f'"job_id": {ids[2]}'
    wait_for(lambda: job in node.log.read_text())
    line = next(line for line in node.log.read_text().splitlines() if job in line)
    assert '"event": "job.failed", "request_id": "req-1"' in line


def test_worker_waits_longer_for_a_message_than_a_request_may(node):
    lines = node.log.read_text().count("onnection")
    time.sleep(1.5)  # over the publisher's 0.25 s and over the consumer's own poll
    job_id = note("a")
    wait_for(lambda: state(job_id) == "done")
    assert node.log.read_text().count("onnection") == lines


def test_same_message_many_times_does_the_work_once(node):
    job_id = enqueue("test.note", {"label": "a"}, delay=timedelta(hours=1))
    Job.objects.update(run_after=timezone.now())
    pointer = jobs.enqueueing.pointer(job_id, "reports", "test.note")
    assert jobs.publish([pointer] * 20)
    last = note("last")
    wait_for(lambda: state(last) == "done")
    assert effects() == ["a", "last"]


def test_flushed_redis_loses_no_work(node):
    busy = [enqueue("test.note_slowly", {"label": "busy", "seconds": 1}) for _ in range(2)]
    wait_for(lambda: "running" in states())
    with transaction.atomic():
        jobs.enqueue_many([("test.note", {"label": str(i)}, "") for i in range(10)])
    with node.server.client as client:
        client.flushall()
    for job in Job.objects.all():
        swept_until(job.pk, "done")
    assert sorted(effects()) == [*"0123456789", "busy", "busy"]
    assert busy


def test_interrupted_by_its_soft_limit_it_fails_and_is_tried_again(node):
    job_id = enqueue("test.short", {"label": "a", "seconds": 1.6})
    wait_for(lambda: "SoftTimeLimitExceeded" in Job.objects.get(pk=job_id).last_error)
    assert (states(), effects()) == (["queued"], [])


def test_poison_that_kills_its_worker_is_dead_after_three_and_delays_no_other(node):
    poison = enqueue("test.die")
    wait_for(lambda: state(poison) == "running")
    others = [note(str(i)) for i in range(5)]
    wait_for(lambda: all(state(pk) == "done" for pk in others), seconds=5)
    swept_until(poison, "dead")
    assert Job.objects.get(pk=poison).attempts == 3
    last = note("last")
    wait_for(lambda: state(last) == "done")
    assert sorted(effects()) == ["0", "1", "2", "3", "4", "last"]


def test_worker_survives_a_restart_of_redis_and_a_job_that_runs_meanwhile(node):
    running = enqueue("test.note_slowly", {"label": "through", "seconds": 1})
    wait_for(lambda: state(running) == "running")
    node.server.stop()
    waiting = note("waiting")
    node.server.start()
    swept_until(running, "done")
    swept_until(waiting, "done")
    assert sorted(effects()) == ["through", "waiting"]


def test_worker_survives_a_freeze_of_redis(node, settings):
    settings.REDIS_TIMEOUT = 0.25
    node.server.freeze()
    time.sleep(0.5)
    waiting = note("waiting")
    node.server.thaw()
    swept_until(waiting, "done")
    assert effects() == ["waiting"]


def test_worker_survives_the_loss_of_its_database_connections(node):
    first = note("first")
    wait_for(lambda: state(first) == "done")
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    others = [note(str(i)) for i in range(4)]
    wait_for(lambda: all(state(pk) == "done" for pk in others))
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


def test_killed_in_the_middle_its_work_is_done_once_by_another(tmp_path, settings):
    settings.JOB_REPUBLISH_SECONDS = 0.3
    log = tmp_path / "log"
    with worker(log, "-c", "1") as killed:
        wait_for(lambda: ready(log), seconds=30, what="the worker")
        job_id = enqueue("test.short", {"label": "a", "seconds": 0.9})
        wait_for(lambda: state(job_id) == "running")
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    assert (state(job_id), effects()) == ("running", [])
    assert jobs.sweep() == 0
    wait_for(lambda: jobs.sweep() == 1, what="the lease to expire")
    assert jobs.run_due() == 1
    job = Job.objects.get()
    assert (job.state, job.attempts, job.fence, effects()) == ("done", 2, 2, ["a"])


def test_two_beats_without_redis_tick_each_slot_once(tmp_path):
    schedules.create("every second")
    schedules.create(schedules.SWEEP)
    logs = [tmp_path / "one", tmp_path / "two"]
    arguments = [(*CELERY, "beat", "-l", "info", "--pidfile", "", "--max-interval", "1")] * 2
    env = {"CELERY_BROKER_URL": NOWHERE, "REDIS_URL": NOWHERE}
    with process(*arguments[0], log=logs[0], **env), process(*arguments[1], log=logs[1], **env):
        wait_for(lambda: Job.objects.count() >= 3, seconds=30)
        ticks = [len(re.findall(r"Sending due task every second", log.read_text())) for log in logs]
        wait_for(lambda: all("every second" in log.read_text() for log in logs), what=str(ticks))
        seen = Job.objects.count()
        wait_for(lambda: Job.objects.count() >= seen + 2)
    slots = list(Job.objects.order_by("slot").values_list("slot", flat=True))
    assert len(slots) == len(set(slots))
    assert all(slot.microsecond == 0 for slot in slots)
    assert (slots[-1] - slots[0]).total_seconds() <= len(slots) + 1
    assert "ERROR" not in "".join(log.read_text() for log in logs)


def test_run_jobs_works_without_redis_and_two_share_the_work(tmp_path):
    for i in range(40):
        Job.objects.create(
            queue="reports", kind="test.note_slowly", args={"label": str(i), "seconds": 0.05}
        )
    logs = [tmp_path / "one", tmp_path / "two"]
    started = time.monotonic()
    with (
        process(*RUN_JOBS, "--drain", log=logs[0], CELERY_BROKER_URL=NOWHERE) as one,
        process(*RUN_JOBS, "--drain", log=logs[1], CELERY_BROKER_URL=NOWHERE) as two,
    ):
        assert (one.wait(30), two.wait(30)) == (0, 0)
    assert time.monotonic() - started < 20
    done = [int(re.search(r"done (\d+), failed 0", log.read_text())[1]) for log in logs]
    assert sum(done) == 40
    assert min(done) > 0
    assert sorted(effects(), key=int) == [str(i) for i in range(40)]


@pytest.fixture
def _signal_handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signal_handlers")
def test_run_jobs_once_queue_and_limit(capsys):
    for label in "abcd":
        Job.objects.create(queue="reports", kind="test.note", args={"label": label})
    Job.objects.create(queue="whatsapp", kind="test.call_network", args={"label": "w"})
    call_command("run_jobs", "--once", "--queue", "whatsapp")
    assert effects() == ["w 1"]
    call_command("run_jobs", "--limit", "3")
    assert effects() == ["w 1", "a", "b", "c"]
    assert capsys.readouterr().out == "done 1, failed 0\ndone 3, failed 0\n"


def test_run_jobs_finishes_its_job_on_sigterm_and_interrupts_one_that_never_ends(tmp_path):
    endless = enqueue("test.short", {"label": "endless", "seconds": 60})
    current = enqueue("test.note_slowly", {"label": "current", "seconds": 0.7})
    log = tmp_path / "log"
    with process(*RUN_JOBS, log=log) as direct:
        wait_for(lambda: state(current) == "running", seconds=30)
        untouched = note("untouched")
        direct.send_signal(signal.SIGTERM)
        assert direct.wait(10) == 0
    assert "done 1, failed 1" in log.read_text()
    assert "soft limit" in Job.objects.get(pk=endless).last_error
    assert (state(current), state(untouched), effects()) == ("done", "queued", ["current"])


def test_worker_refuses_a_queue_that_does_not_exist():
    with pytest.raises(KeyError, match="repotrs"):
        app.select_queues(["repotrs"])
