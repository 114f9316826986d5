"""A worker sleeps past its lease, another does its job, then it wakes: it commits nothing."""

from pathlib import Path

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from khaacho import jobs
from khaacho.models import Job
from tests.khaacho.conftest import _registries  # noqa: F401 - puts the registries back
from tests.khaacho.kinds import effects
from tests.processes import environment, process, standing_still, wait_for
from tests.survival.test_poison import QUICK, WORKER

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def enqueue(kind: str, **args: object) -> int:
    with transaction.atomic():
        job_id = jobs.enqueue(kind, args)
    assert job_id
    return job_id


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("survival.hold", ["tea"]), ("survival.step", ["begun 1", "begun 2", "tea"])],
)
@pytest.mark.usefixtures("_registries")
def test_it_commits_nothing(kind: str, expected: list[str], settings, redis_url, tmp_path) -> None:
    from tests.survival import kinds  # noqa: PLC0415

    kinds.register()
    settings.JOB_REPUBLISH_SECONDS = 0.3
    log: Path = tmp_path / "log"
    with process(*WORKER, *QUICK, "-c", "1", log=log) as sleeper:
        wait_for(lambda: " ready." in log.read_text(), seconds=60, what="the worker")
        job_id = enqueue(kind, label="tea", seconds=1.0)
        wait_for(lambda: is_held(kind, job_id), what="the job to be in the middle")
        with standing_still(sleeper.pid):
            Job.objects.filter(pk=job_id).update(lease_until=timezone.now())  # they slept so long
            wait_for(lambda: jobs.sweep() == 1, what="the sweep to release the job")
            assert jobs.run_due() == 1
            done = Job.objects.get(pk=job_id)
            assert (done.state, done.attempts, done.fence) == ("done", 2, 2)
        wait_for(lambda: "job.lease_lost" in log.read_text(), what="the zombie to notice")
    assert sorted(effects()) == expected
    after = Job.objects.get(pk=job_id)
    assert (after.state, after.attempts, after.fence, after.finished_at) == (
        "done",
        2,
        2,
        done.finished_at,
    )


def is_held(kind: str, job_id: int) -> bool:
    """Whether a worker is past the job's first effect: committed, or in its open transaction."""
    if kind == "survival.step":
        return effects() == ["begun 1"]
    with psycopg.connect(environment()["DATABASE_URL"]) as other:
        row = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'idle in transaction' AND query LIKE 'INSERT INTO \"sign_in_failures\"%'"
        ).fetchone()
    return bool(row and row[0]) and Job.objects.get(pk=job_id).state == "running"
