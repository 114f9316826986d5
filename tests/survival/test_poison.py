"""Work that raises, wants too much memory, kills its process or never ends: three attempts, then dead.

What raises delays nobody. When a child dies, Celery holds its node for half a second (the sleep in
celery/concurrency/asynpool.py). In production the attempts of such a job are a lease apart, a minute at
least; here they follow each other, or the test would take five minutes. So it is counted for how long
one death makes others late: as long as that is less than a twentieth of a minute, it is not their p95.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from khaacho import jobs
from khaacho.models import Job
from tests.khaacho.conftest import _registries  # noqa: F401 - puts the registries back
from tests.khaacho.kinds import effects
from tests.processes import RedisServer, process, redis_server, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.django_db(transaction=True)]

CHILDREN = 5  # as production's queue of orders has
NOTES, EVERY = 60, 0.05  # at least: three seconds of twenty jobs a second
FLOOR = timedelta(milliseconds=250)  # below which waits are the machine's noise
DEATHS = 6  # three attempts of two poisons
LATE = 1.5  # seconds for which one death may make others late; 3 are a twentieth of a minute
WORKER = ("-m", "celery", "-A", "tests.survival.kinds", "worker", "-l", "info")
QUICK = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest.fixture
def log(server: RedisServer, settings, tmp_path: Path, _registries) -> Iterator[Path]:  # noqa: F811
    """The log of a worker with as many children as the queue has in production."""
    from tests.survival import kinds  # noqa: PLC0415

    kinds.register()
    settings.CELERY_BROKER_URL = server.url
    settings.JOB_REPUBLISH_SECONDS = 0.5
    environ = {
        "REDIS_URL": server.url,
        "CELERY_BROKER_URL": server.url,
        "JOB_LEASE_MARGIN_SECONDS": "0.5",
        "JOB_BACKOFF_SECONDS": "0.2",
        "JOB_MEMORY_MB": "400",
    }
    path = tmp_path / "worker.log"
    with process(*WORKER, *QUICK, "-c", str(CHILDREN), log=path, **environ):
        wait_for(lambda: " ready." in path.read_text(), seconds=60, what="the worker")
        yield path


def enqueue(kind: str, args: dict[str, object]) -> None:
    with transaction.atomic():
        jobs.enqueue(kind, args)


def no_job_is_open() -> bool:
    jobs.sweep()
    return not Job.objects.open().exists()


def waits(prefix: str, *poisons: str) -> list[timedelta]:
    """Take a job every so often while there is poison; return for how long each waited, sorted."""
    for name in poisons:
        enqueue(f"survival.{name}", {})
    number = 0
    while number < NOTES or Job.objects.open().exclude(kind="survival.note").exists():
        enqueue("survival.note", {"label": f"{prefix} {number}"})
        number += 1
        if number % 10 == 0:
            jobs.sweep()
        time.sleep(EVERY)
    wait_for(no_job_is_open, seconds=30, what="the jobs to end")
    found = Job.objects.filter(kind="survival.note", args__label__startswith=prefix)
    assert set(found.values_list("state", "attempts")) == {("done", 1)}
    assert len(found) == number
    for name in poisons:
        poison = Job.objects.get(kind=f"survival.{name}")
        assert (poison.state, poison.attempts) == ("dead", 3)
    return sorted(job.started_at - job.created_at for job in found)


def p95(sorted_waits: list[timedelta]) -> timedelta:
    return sorted_waits[int(len(sorted_waits) * 0.95)]


@pytest.mark.usefixtures("log")
def test_poison_costs_three_attempts_and_others_hardly_wait() -> None:
    from tests.survival import kinds  # noqa: PLC0415

    alone = p95(waits("alone"))
    usual = max(2 * alone, FLOOR)
    beside = p95(waits("beside", *kinds.HARMLESS))
    assert beside <= usual
    assert "MemoryError" in Job.objects.get(kind="survival.eat").last_error
    late = [wait for wait in waits("through", *kinds.DEADLY) if wait > usual]
    print(f"p95 {alone} alone, {beside} beside poison; {len(late) * EVERY / DEATHS:.1f} s a death")
    assert len(late) * EVERY / DEATHS <= LATE
    assert "lease expired" in Job.objects.get(kind="survival.endless").last_error
    labels = effects()
    assert len(labels) == len(set(labels)) == Job.objects.filter(kind="survival.note").count()
