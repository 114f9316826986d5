"""Told to stop, workers finish their jobs or hand them back: due at once, the attempt uncounted; beat just ends."""

import signal
import time

import pytest
from django.db import connection

from khaacho import jobs
from khaacho.models import Job
from tests.khaacho.conftest import enqueue, state
from tests.khaacho.kinds import effects
from tests.khaacho.test_processes import CELERY, NOWHERE, RUN_JOBS, ready, worker
from tests.processes import process, redis_server, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

LONG = 50.0  # seconds, far beyond any patience here


def asleep() -> int:
    """Return how many statements of ours the server still stands in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep%'"
        )
        return int(cursor.fetchone()[0])


def assert_handed_back(job_id: int) -> None:
    """Another worker gets it now, as if this one had never begun it."""
    job = Job.objects.get(pk=job_id)
    assert (job.state, job.attempts, job.last_error, job.lease_until) == ("queued", 0, "", None)
    claim = jobs.claim_next()
    assert claim is not None
    assert (claim.job_id, claim.attempts) == (job_id, 1)
    assert effects() == []


@pytest.mark.parametrize("kind", ["test.note_slowly", "test.wait"])
def test_a_celery_worker_hands_back_what_does_not_end(kind, tmp_path, settings):
    log = tmp_path / "log"
    with redis_server() as server:
        settings.CELERY_BROKER_URL = server.url
        told = {"REDIS_URL": server.url, "CELERY_BROKER_URL": server.url, "JOB_GRACE_SECONDS": "1"}
        with worker(log, "-c", "1", **told) as node:
            wait_for(lambda: ready(log), seconds=30, what="the worker")
            job_id = enqueue(kind, {"label": "a", "seconds": LONG})
            assert job_id
            wait_for(lambda: state(job_id) == "running", seconds=20)
            time.sleep(0.3)  # into its work
            node.send_signal(signal.SIGTERM)
            assert node.wait(20) == 0
        assert log.read_text().count("job.handed_back") == 1
        assert asleep() == 0
        with server.client as client:
            assert client.llen("reports\x06\x163") == 1  # published again, for whoever is there
        assert_handed_back(job_id)


def test_a_celery_worker_lets_a_job_end(tmp_path, settings):
    log = tmp_path / "log"
    with redis_server() as server:
        settings.CELERY_BROKER_URL = server.url
        with worker(log, "-c", "1", REDIS_URL=server.url, CELERY_BROKER_URL=server.url) as node:
            wait_for(lambda: ready(log), seconds=30, what="the worker")
            job_id = enqueue("test.note_slowly", {"label": "a", "seconds": 1.5})
            assert job_id
            wait_for(lambda: state(job_id) == "running", seconds=20)
            node.send_signal(signal.SIGTERM)
            assert node.wait(20) == 0
    assert state(job_id) == "done"
    assert effects() == ["a"]
    assert "handed_back" not in log.read_text()


@pytest.mark.parametrize("kind", ["test.note_slowly", "test.wait"])
def test_direct_mode_hands_back_too(kind, tmp_path):
    log = tmp_path / "log"
    job_id = enqueue(kind, {"label": "a", "seconds": LONG})
    assert job_id
    with process(*RUN_JOBS, log=log, CELERY_BROKER_URL=NOWHERE, JOB_GRACE_SECONDS="1") as direct:
        wait_for(lambda: state(job_id) == "running", seconds=30)
        time.sleep(0.3)
        direct.send_signal(signal.SIGTERM)
        assert direct.wait(20) == 0
    assert asleep() == 0
    assert_handed_back(job_id)


def test_beat_just_ends(tmp_path):
    log = tmp_path / "log"
    arguments = (*CELERY, "beat", "-l", "info", "--pidfile", "", "--max-interval", "1")
    with process(*arguments, log=log, CELERY_BROKER_URL=NOWHERE) as beat:
        wait_for(lambda: "beat: Starting" in log.read_text(), seconds=30)
        time.sleep(1)
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(20) == 0
    assert "Traceback" not in log.read_text()
