"""Work that raises, is killed, eats memory or never ends: three attempts, and others hardly wait."""

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

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

CHILDREN = 5  # as production's queue of orders has
NOTES, EVERY = 80, 0.05  # of each half: four seconds of twenty jobs a second
FLOOR = timedelta(milliseconds=250)  # below which waits are the machine's noise
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


def steady(prefix: str) -> None:
    """Enqueue a job every so often, and sweep now and then as beat would."""
    for number in range(NOTES):
        enqueue("survival.note", {"label": f"{prefix} {number}"})
        if number % 10 == 0:
            jobs.sweep()
        time.sleep(EVERY)


def wait_p95(prefix: str) -> timedelta:
    found = Job.objects.filter(kind="survival.note", args__label__startswith=prefix)
    waits = sorted(job.started_at - job.created_at for job in found)
    assert len(waits) == NOTES
    return waits[int(NOTES * 0.95)]


def test_poison_costs_three_attempts_and_others_hardly_wait(log: Path) -> None:
    from tests.survival import kinds  # noqa: PLC0415

    steady("alone")
    wait_for(lambda: not Job.objects.open().exists(), seconds=20, what="the jobs without poison")
    for name in kinds.POISONS:
        enqueue(f"survival.{name}", {})
    steady("beside")

    def is_over() -> bool:
        jobs.sweep()
        return not Job.objects.open().exists()

    wait_for(is_over, seconds=60, what="three attempts of each poison")
    poison = Job.objects.exclude(kind="survival.note")
    assert {job.kind: (job.state, job.attempts) for job in poison} == {
        f"survival.{name}": ("dead", 3) for name in kinds.POISONS
    }
    assert "MemoryError" in poison.get(kind="survival.eat").last_error
    notes = Job.objects.filter(kind="survival.note")
    assert set(notes.values_list("state", "attempts")) == {("done", 1)}
    assert len(effects()) == len(set(effects())) == 2 * NOTES
    alone, beside = wait_p95("alone"), wait_p95("beside")
    print(f"p95 of waiting: {alone} alone, {beside} beside poison")
    assert beside <= max(2 * alone, FLOOR)
