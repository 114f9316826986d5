"""The work of a paused queue waits: nothing of it begins, what runs is finished, enqueuing goes on."""

import pytest
from django.db import connection, transaction

from khaacho import broker, job_desk, jobs
from khaacho.actors import SYSTEM
from khaacho.enums import Queue
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import AuditLog, Job, QueueSetting
from tests.factories import make_actor, make_retailer, retailer_actor
from tests.khaacho.conftest import enqueue, state
from tests.khaacho.kinds import effects
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)


def pause() -> None:
    job_desk.pause("reports", "the disk is full", SYSTEM)


def test_nothing_begins_by_pointer_or_by_turn_and_other_queues_go_on():
    pause()
    paused = enqueue("test.note", {"label": "a"})
    other = enqueue("test.call_network", {"label": "b"})
    assert jobs.run(paused) is False
    assert jobs.claim_next(Queue.REPORTS) is None
    assert jobs.run_due() == 1
    assert (state(paused), state(other), effects()) == ("queued", "done", ["b 1"])
    assert Job.objects.get(pk=paused).attempts == 0


def test_what_runs_is_finished():
    enqueue("test.note", {"label": "a"})
    claim = jobs.claim_next()
    pause()
    assert jobs.perform(claim) is True
    assert effects() == ["a"]


def test_a_pointer_that_came_in_vain_is_published_at_the_first_sweep_after_resuming():
    job_id = enqueue("test.note", {"label": "a"})
    with broker._producer() as producer:
        producer.channel.queue_purge("reports")
    pause()
    assert jobs.run(job_id) is False
    assert Job.objects.get().published_at is None
    assert jobs.sweep() == 0
    job_desk.resume("reports", SYSTEM)
    assert jobs.sweep() == 1
    assert broker.depths([Queue.REPORTS]) == {"reports": 1}
    assert jobs.run(job_id) is True
    assert effects() == ["a"]


def test_a_pointer_of_a_job_that_is_not_due_changes_nothing():
    job_id = enqueue("test.fail", {"label": "a"})
    assert jobs.run(job_id) is False
    Job.objects.update(published_at="2026-01-01T00:00:00Z")
    assert jobs.run(job_id) is False
    assert Job.objects.get().published_at is not None


def test_the_sweep_publishes_nothing_of_a_paused_queue():
    pause()
    Job.objects.create(queue="reports", kind="test.note", args={"label": "a"})
    Job.objects.create(queue="whatsapp", kind="test.call_network", args={"label": "b"})
    assert jobs.sweep() == 1
    assert broker.depths([Queue.REPORTS, Queue.WHATSAPP]) == {"reports": 0, "whatsapp": 1}


def test_is_remembered_with_its_reason_and_by_whom():
    officer = make_actor()
    job_desk.pause("credit_score", "  figures are wrong ", officer)
    row = QueueSetting.objects.get()
    assert (row.queue, row.is_paused, row.reason, row.changed_by_id) == (
        "credit_score",
        True,
        "figures are wrong",
        officer.user_id,
    )
    job_desk.resume("credit_score", officer)
    row.refresh_from_db()
    assert (row.is_paused, row.reason) == (False, "")
    assert list(
        AuditLog.objects.filter(entity_type="queue")
        .order_by("pk")
        .values_list("action", "entity_id", "reason", "new_values", "user_id")
    ) == [
        ("queue.paused", 2, "figures are wrong", {"queue": "credit_score"}, officer.user_id),
        ("queue.resumed", 2, "", {"queue": "credit_score"}, officer.user_id),
    ]


def test_refuses_what_is_so_already_unknown_queues_no_reason_and_strangers():
    with pytest.raises(Conflict, match="not paused"):
        job_desk.resume("reports", SYSTEM)
    pause()
    with pytest.raises(Conflict, match="paused already"):
        pause()
    job_desk.resume("reports", SYSTEM)
    with pytest.raises(Conflict, match="not paused"):
        job_desk.resume("reports", SYSTEM)
    for act in (
        lambda: job_desk.pause("repotrs", "x", SYSTEM),
        lambda: job_desk.resume("", SYSTEM),
    ):
        with pytest.raises(NotFound):
            act()
    for reason in ("", "  ", "x" * 301):
        with pytest.raises(Invalid):
            job_desk.pause("reports", reason, SYSTEM)
    shop = retailer_actor(make_retailer())
    with pytest.raises(Forbidden):
        job_desk.pause("reports", "x", shop)
    with pytest.raises(Forbidden):
        job_desk.resume("reports", shop)
    assert not QueueSetting.objects.get().is_paused
    assert AuditLog.objects.filter(entity_type="queue").count() == 2


def test_of_pauses_at_once_one_is_done():
    assert race(*[pause] * 4) == {"ok": 1, "Conflict": 3}
    assert AuditLog.objects.filter(action="queue.paused").count() == 1


def test_the_claim_reads_the_settings_once_whatever_the_backlog():
    """Six rows at most, as a subplan of the whole statement, not of each job."""
    with transaction.atomic():
        jobs.enqueue_many([("test.note", {"label": "a"}, "")] * 300)
    pause()
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + jobs.running.CLAIM_NEXT,
            {"limits": "{}", "margin": 1, "queue": None},
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    scans = [line for line in plan.splitlines() if "queue_settings" in line]
    assert [line.split("loops=")[1].rstrip(")") for line in scans] == ["1"]
