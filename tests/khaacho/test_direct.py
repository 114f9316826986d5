"""Direct mode: neither a job that never ends nor one that eats all memory stops the others."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from khaacho import jobs
from khaacho.models import Job
from tests.khaacho.conftest import enqueue, state
from tests.khaacho.kinds import effects
from tests.khaacho.test_processes import NOWHERE, RUN_JOBS, ready, worker
from tests.processes import process, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def drain(log: Path, **env: str) -> str:
    """Run what is due to its end; return what was printed."""
    with process(*RUN_JOBS, "--drain", log=log, **env) as direct:
        assert direct.wait(60) == 0
    return log.read_text()


def test_a_job_that_never_ends_is_killed_at_its_hard_limit_and_the_rest_is_done(tmp_path):
    endless = enqueue("test.never_end")
    note = enqueue("test.note", {"label": "a"})
    assert "done 1, failed 1" in drain(tmp_path / "log")
    job = Job.objects.get(pk=endless)
    assert (job.state, job.attempts, job.stalls) == ("queued", 1, 1)
    assert "over its hard limit" in job.last_error
    assert (state(note), effects()) == ("done", ["a"])


def test_a_process_that_a_job_kills_is_replaced(tmp_path):
    poison = enqueue("test.die")
    note = enqueue("test.note", {"label": "a"})
    assert "done 1, failed 1" in drain(tmp_path / "log")
    assert (state(note), state(poison)) == ("done", "queued")
    assert "ended with -9" in Job.objects.get(pk=poison).last_error


def test_a_job_that_eats_memory_fails_and_the_rest_is_done(tmp_path):
    hungry = enqueue("test.eat")
    note = enqueue("test.note", {"label": "a"})
    assert "done 1, failed 1" in drain(tmp_path / "log", JOB_MEMORY_MB="512")
    job = Job.objects.get(pk=hungry)
    assert (job.state, job.stalls) == ("queued", 0)
    assert job.last_error.rstrip().endswith("MemoryError")
    assert state(note) == "done"


def test_poison_costs_three_attempts(tmp_path):
    poison = enqueue("test.die")
    with process(*RUN_JOBS, log=tmp_path / "log", JOB_BACKOFF_SECONDS="0.1"):
        wait_for(lambda: state(poison) == "dead", seconds=40)
    assert Job.objects.get().attempts == 3


def test_without_redis_it_is_as_quick(tmp_path):
    for n in range(300):
        Job.objects.create(queue="reports", kind="test.note", args={"label": str(n)})
    started = time.monotonic()
    out = drain(tmp_path / "log", CELERY_BROKER_URL=NOWHERE, REDIS_URL=NOWHERE, CACHE_URL=NOWHERE)
    assert re.search(r"done 300, failed 0", out)
    assert time.monotonic() - started < 15


def test_a_child_whose_parent_was_killed_takes_no_more_jobs(tmp_path):
    with process(*RUN_JOBS, log=tmp_path / "log") as direct:
        first = enqueue("test.note", {"label": "first"})
        wait_for(lambda: state(first) == "done", seconds=30)
        os.kill(direct.pid, signal.SIGKILL)
        direct.wait()
        time.sleep(0.5)
        later = enqueue("test.note", {"label": "later"})
        time.sleep(1.5)
        assert state(later) == "queued"
    assert jobs.run_due() == 1


def test_when_there_is_no_database_one_that_must_not_wait_says_so(tmp_path):
    log = tmp_path / "log"
    with process(
        *RUN_JOBS, "--once", log=log, DATABASE_URL="postgresql://127.0.0.1:9/nowhere"
    ) as direct:
        assert direct.wait(30) == 1
    assert "direct.child_broke" in log.read_text()


def test_in_a_worker_too_a_job_that_eats_memory_fails_and_its_process_goes_on(tmp_path):
    log = tmp_path / "log"
    with worker(log, "-c", "1", "-n", "hungry@here", JOB_MEMORY_MB="512"):
        wait_for(lambda: ready(log), seconds=30, what="the worker")
        hungry = enqueue("test.eat")
        wait_for(lambda: Job.objects.get(pk=hungry).last_error, seconds=20)
        note = enqueue("test.note", {"label": "a"})
        wait_for(lambda: state(note) == "done")
    assert Job.objects.get(pk=hungry).last_error.rstrip().endswith("MemoryError")
    assert "WorkerLostError" not in log.read_text()
