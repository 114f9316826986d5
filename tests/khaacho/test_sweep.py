"""What Redis loses, the sweep publishes again; what Redis still holds, it leaves alone."""

from datetime import timedelta

import pytest
import redis
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from khaacho import breaker, broker, jobs, sql
from khaacho.enums import Queue
from khaacho.models import Job
from tests.khaacho.conftest import enqueue
from tests.khaacho.kinds import effects
from tests.processes import free_port, list_of
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)


def enqueue_five() -> None:
    with transaction.atomic():
        jobs.enqueue_many([("test.note", {"label": str(i)}, "") for i in range(5)])


def age(seconds: float = 60) -> None:
    Job.objects.filter(published_at__isnull=False).update(
        published_at=timezone.now() - timedelta(seconds=seconds)
    )


def depth() -> int:
    held = broker.depths([Queue.REPORTS])
    assert held is not None
    return held["reports"]


def test_publishes_again_what_a_flushed_redis_lost(redis_url):
    enqueue_five()
    redis.Redis.from_url(redis_url).flushall()
    assert jobs.sweep() == 0  # still young: the message may be on its way
    age()
    assert (jobs.sweep(), depth()) == (5, 5)
    assert jobs.sweep() == 0


def test_publishes_what_was_enqueued_while_redis_was_absent(settings):
    url = settings.CELERY_BROKER_URL
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    enqueue_five()
    age()
    assert jobs.sweep() == 0
    settings.CELERY_BROKER_URL = url
    breaker.close_all()
    assert (jobs.sweep(), depth()) == (5, 5)


def test_long_backlog_that_redis_still_holds_is_not_published_again():
    enqueue_five()
    age(3600)
    for _ in range(5):
        assert jobs.sweep() == 0
    assert depth() == 5


def test_publishes_only_as_many_as_are_missing_oldest_first(redis_url):
    enqueue_five()
    age()
    redis.Redis.from_url(redis_url).rpop(list_of("reports"), 2)
    assert (jobs.sweep(), depth()) == (2, 5)


def test_publishes_a_retry_also_behind_a_long_backlog():
    enqueue_five()
    late = enqueue("test.note", {"label": "late"}, delay=timedelta(hours=1))
    Job.objects.filter(pk=late).update(run_after=timezone.now())
    age()
    assert (jobs.sweep(), depth()) == (1, 6)
    assert Job.objects.get(pk=late).published_at is not None
    assert jobs.sweep() == 0


@pytest.mark.parametrize("join", ["hashjoin", "nestloop", "mergejoin"])
def test_keeps_to_its_limit_whatever_the_plan(join):
    """A subquery with LIMIT and SKIP LOCKED that a nested loop reads again locks more each time."""
    for other in {"hashjoin", "nestloop", "mergejoin"} - {join}:
        sql.execute(f"SET enable_{other} = off")
    Job.objects.bulk_create(
        Job(queue=Queue.REPORTS, kind="test.note", args={"label": "a"}) for _ in range(7)
    )
    try:
        assert [jobs.sweep(3), jobs.sweep(3), jobs.sweep(3), jobs.sweep(3)] == [3, 3, 1, 0]
    finally:
        for other in ("hashjoin", "nestloop", "mergejoin"):
            sql.execute(f"RESET enable_{other}")


def test_jobs_of_an_unknown_kind_are_published_and_block_nobody(monkeypatch):
    enqueue("test.note", {"label": "a"}, delay=timedelta(hours=1))
    Job.objects.update(run_after=timezone.now())
    monkeypatch.delitem(jobs.kinds.known, "test.note")
    assert (jobs.sweep(), depth()) == (1, 1)


def test_sweeps_at_once_publish_each_job_once():
    Job.objects.bulk_create(
        Job(queue=Queue.REPORTS, kind="test.note", args={"label": "a"}) for _ in range(50)
    )
    assert race(*[jobs.sweep] * 6) == {"ok": 6}
    assert depth() == 50


def test_second_sweep_does_nothing_while_one_works():
    enqueue("test.note", {"label": "a"}, delay=timedelta(hours=1))
    Job.objects.update(run_after=timezone.now())
    found: list[int] = []
    with transaction.atomic():
        sql.execute("SELECT pg_advisory_xact_lock(%s)", [jobs.SWEEP_LOCK])
        assert race(lambda: found.append(jobs.sweep())) == {"ok": 1}
    assert found == [0]
    assert jobs.sweep() == 1


def test_releases_expired_leases_also_without_redis(settings):
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    enqueue("test.note", {"label": "a"})
    jobs.claim_next()
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    jobs.sweep()
    assert jobs.run_due() == 1
    assert effects() == ["a"]


def test_command_says_how_many(capsys):
    Job.objects.create(queue=Queue.REPORTS, kind="test.note", args={"label": "a"})
    call_command("sweep")
    assert capsys.readouterr().out == "published 1\n"
