"""A cancelled job never runs, or commits nothing more; dead ones begin anew all at once."""

import logging

import pytest
from django.db import transaction

from khaacho import job_desk, jobs
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid, JobCancelled, NotFound
from khaacho.models import AuditLog, Job
from tests.factories import make_actor, make_retailer, retailer_actor
from tests.khaacho.conftest import enqueue, state, states
from tests.khaacho.kinds import effects
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)


def cancel(job_id: int) -> None:
    job_desk.cancel(job_id, "asked for by mistake", SYSTEM)


def test_a_waiting_job_never_runs_and_its_key_is_free():
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    cancel(job_id)
    job = Job.objects.get()
    assert (job.state, job.attempts, job.finished_at is None) == ("cancelled", 0, False)
    assert (jobs.run(job_id), jobs.run_due(), jobs.sweep()) == (False, 0, 0)
    other = enqueue("test.note", {"label": "b"}, dedupe_key="k")
    assert other != job_id
    assert (jobs.run(other), effects()) == (True, ["b"])


def test_a_running_atomic_job_commits_nothing(caplog):
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    claim = jobs.claim_next()
    cancel(job_id)
    with caplog.at_level(logging.WARNING):
        assert jobs.perform(claim) is False
    assert [record.message for record in caplog.records] == ["job.cancelled"]
    job = Job.objects.get()
    assert (job.state, job.lease_until, effects()) == ("cancelled", None, [])


def test_a_running_job_that_fails_stays_cancelled():
    job_id = enqueue("test.fail", {"label": "a"})
    claim = jobs.claim_next()
    cancel(job_id)
    assert jobs.perform(claim) is False
    assert (states(), Job.objects.get().last_error) == (["cancelled"], "")


def test_a_running_job_that_is_not_atomic_ends_at_its_next_report():
    job_id = enqueue("test.report_for", {"label": "a", "seconds": 0})
    claim = jobs.claim_next()
    jobs.report_progress(claim, 10)
    cancel(job_id)
    with pytest.raises(JobCancelled):
        jobs.report_progress(claim, 20)
    assert jobs.perform(claim) is False
    assert (states(), effects()) == (["cancelled"], [])


def test_a_request_folded_into_a_running_job_is_cancelled_with_it():
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    claim = jobs.claim_next()
    enqueue("test.note", {"label": "a"}, dedupe_key="k")
    cancel(job_id)
    jobs.perform(claim)
    assert (states(), Job.objects.get().rerun) == (["cancelled"], False)


def test_a_dead_job_is_dismissed_and_keeps_its_error():
    job_id = enqueue("test.fail", {"label": "a"})
    Job.objects.update(max_attempts=1)
    jobs.run(job_id)
    assert state(job_id) == "dead"
    cancel(job_id)
    assert state(job_id) == "cancelled"
    assert "RuntimeError" in Job.objects.get().last_error
    assert job_desk.requeue_dead("reports", SYSTEM) == 0


def test_is_remembered_with_its_reason():
    officer = make_actor()
    job_id = enqueue("test.note", {"label": "a"})
    job_desk.cancel(job_id, "no longer wanted", officer)
    entry = AuditLog.objects.get(action="job.cancelled")
    assert (entry.user_id, entry.entity_type, entry.entity_id, entry.reason) == (
        officer.user_id,
        "job",
        job_id,
        "no longer wanted",
    )
    assert entry.new_values == {"kind": "test.note", "was": "queued"}


def test_refuses_what_is_over_unknown_without_reason_and_strangers():
    done = enqueue("test.note", {"label": "a"})
    jobs.run(done)
    with pytest.raises(Conflict, match="done"):
        cancel(done)
    job_id = enqueue("test.note", {"label": "b"})
    cancel(job_id)
    with pytest.raises(Conflict, match="cancelled"):
        cancel(job_id)
    with pytest.raises(Conflict, match="cancelled"):
        job_desk.retry(job_id, SYSTEM)
    with pytest.raises(NotFound):
        cancel(0)
    waiting = enqueue("test.note", {"label": "c"})
    with pytest.raises(Invalid):
        job_desk.cancel(waiting, " ", SYSTEM)
    shop = retailer_actor(make_retailer())
    with pytest.raises(Forbidden):
        job_desk.cancel(waiting, "x", shop)
    with pytest.raises(Forbidden):
        job_desk.requeue_dead("reports", shop)
    with pytest.raises(NotFound):
        job_desk.requeue_dead("repotrs", SYSTEM)
    assert state(waiting) == "queued"


def test_of_finishing_and_cancelling_at_once_one_wins():
    """Whichever comes first: done with its effect, or cancelled without it."""
    for _ in range(10):
        job_id = enqueue("test.note", {"label": str(_)})
        claim = jobs.claim_next()
        outcomes = race(lambda claim=claim: jobs.perform(claim), lambda pk=job_id: cancel(pk))
        is_done = state(job_id) == "done"
        assert outcomes == ({"ok": 1, "Conflict": 1} if is_done else {"ok": 2})
        assert (str(_) in effects()) is is_done


def make_dead(queue: str = "reports", key: str | None = None) -> int:
    return Job.objects.create(
        queue=queue,
        kind="test.note",
        args={"label": key or ""},
        dedupe_key=key,
        state="dead",
        attempts=3,
        last_error="it was so",
    ).pk


def test_all_dead_jobs_of_a_queue_begin_anew_and_no_others():
    dead = [make_dead() for _ in range(3)]
    elsewhere = make_dead("whatsapp")
    officer = make_actor()
    assert job_desk.requeue_dead("reports", officer) == 3
    assert {(j.state, j.attempts) for j in Job.objects.filter(pk__in=dead)} == {("queued", 0)}
    assert state(elsewhere) == "dead"
    entry = AuditLog.objects.get(action="queue.dead_requeued")
    assert (entry.entity_id, entry.new_values, entry.user_id) == (
        5,
        {"queue": "reports", "jobs": 3},
        officer.user_id,
    )
    assert jobs.run_due() == 3
    assert job_desk.requeue_dead("reports", officer) == 0
    assert AuditLog.objects.filter(action="queue.dead_requeued").count() == 1


def test_of_dead_jobs_with_one_key_the_newest_stands_for_all():
    older, newer = make_dead(key="k"), make_dead(key="k")
    replaced = make_dead(key="open")
    with transaction.atomic():
        jobs.enqueue("test.note", {"label": "open"}, dedupe_key="open")
    assert job_desk.requeue_dead("reports", SYSTEM) == 1
    assert [state(pk) for pk in (older, newer, replaced)] == ["dead", "queued", "dead"]


def test_counts_what_a_job_went_through():
    job_id = enqueue("test.fail", {"label": "a"}, dedupe_key="k")
    for _ in range(2):
        enqueue("test.fail", {"label": "a"}, dedupe_key="k")
    jobs.claim_next()
    Job.objects.update(lease_until="2026-01-01T00:00:00Z")
    jobs.sweep()
    job = Job.objects.get()
    assert (job.coalesced, job.stalls, job.failed_at is None) == (2, 1, False)
    first = job.failed_at
    assert jobs.run(job_id) is False
    job.refresh_from_db()
    assert (job.coalesced, job.stalls) == (2, 1)
    assert job.failed_at > first
