"""A job exists exactly if its fact does; open jobs with one key are one job."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError

from khaacho import broker, jobs
from khaacho.enums import Queue
from khaacho.models import Job
from tests.khaacho.conftest import enqueue, state
from tests.khaacho.kinds import effects
from tests.races import race

SLOT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "call",
    [
        lambda: jobs.enqueue("test.note"),
        lambda: jobs.enqueue_many([]),
        lambda: jobs.enqueue_many([("test.note", {}, "")]),
    ],
)
def test_refuses_outside_a_transaction(call):
    with pytest.raises(TransactionManagementError):
        call()
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_refuses_unknown_kind():
    with pytest.raises(KeyError):
        jobs.enqueue("test.unknown")
    with pytest.raises(KeyError):
        jobs.enqueue_many([("test.unknown", {}, "")])


@pytest.mark.django_db
def test_refuses_slot_with_key():
    with pytest.raises(ValueError, match="not both"):
        jobs.enqueue("test.note", slot=SLOT, dedupe_key="k")


@pytest.mark.django_db(transaction=True)
def test_rolls_back_with_its_fact_and_publishes_nothing():
    with transaction.atomic():
        jobs.enqueue("test.note", {"label": "a"})
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert broker.depths([Queue.REPORTS]) == {"reports": 0}


@pytest.mark.django_db(transaction=True)
def test_publishes_on_commit_to_its_queue():
    with transaction.atomic():
        jobs.enqueue("test.note", {"label": "a"}, reference="order:1", priority=3)
        assert broker.depths([Queue.REPORTS]) == {"reports": 0}
    assert broker.depths(Queue.values) == {**dict.fromkeys(Queue.values, 0), "reports": 1}
    job = Job.objects.get()
    assert (job.queue, job.kind, job.args, job.reference) == (
        "reports",
        "test.note",
        {"label": "a"},
        "order:1",
    )
    assert (job.state, job.attempts, job.priority) == ("queued", 0, 3)


@pytest.mark.django_db(transaction=True)
def test_many_are_one_insert_and_published_each(django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(1):
        jobs.enqueue_many([("test.note", {"label": str(i)}, f"r:{i}") for i in range(30)])
    assert broker.depths([Queue.REPORTS]) == {"reports": 30}
    assert set(Job.objects.values_list("reference", flat=True)) == {f"r:{i}" for i in range(30)}


@pytest.mark.django_db(transaction=True)
def test_delayed_is_neither_published_nor_run_before_its_time():
    job_id = enqueue("test.note", {"label": "a"}, delay=timedelta(hours=1))
    assert broker.depths([Queue.REPORTS]) == {"reports": 0}
    assert jobs.run(job_id) is False
    assert jobs.run_due() == 0
    assert jobs.sweep() == 0
    assert (state(job_id), effects()) == ("queued", [])


@pytest.mark.django_db(transaction=True)
def test_open_job_with_the_key_is_returned_and_published_once():
    first = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    assert enqueue("test.note", {"label": "b"}, dedupe_key="k") == first
    job = Job.objects.get()
    assert (job.args, job.priority, job.rerun) == ({"label": "a"}, 0, False)
    assert job.coalesced == 1
    assert broker.depths([Queue.REPORTS]) == {"reports": 1}


@pytest.mark.django_db(transaction=True)
def test_urgent_request_for_an_open_job_points_at_it_again_in_front():
    first = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    assert enqueue("test.note", {"label": "b"}, dedupe_key="k", priority=2) == first
    job = Job.objects.get()
    assert (job.args, job.priority, job.coalesced) == ({"label": "a"}, 2, 1)
    assert broker.depths([Queue.REPORTS]) == {"reports": 2}
    assert [jobs.run(first), jobs.run(first)] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_finished_job_does_not_block_the_next_with_its_key():
    first = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    assert jobs.run(first)
    second = enqueue("test.note", {"label": "b"}, dedupe_key="k")
    assert second != first
    assert jobs.run(second)
    assert effects() == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_urgent_request_brings_a_delayed_job_forward():
    late = enqueue("test.note", {"label": "a"}, dedupe_key="k", delay=timedelta(hours=1))
    assert enqueue("test.note", {"label": "a"}, dedupe_key="k") == late
    assert jobs.sweep() == 1
    assert jobs.run(late)


@pytest.mark.django_db(transaction=True)
def test_request_does_not_shorten_the_backoff_of_a_failing_job():
    job_id = enqueue("test.fail", {"label": "a"}, dedupe_key="k")
    assert not jobs.run(job_id)
    due = Job.objects.get().run_after
    assert enqueue("test.fail", {"label": "a"}, dedupe_key="k") == job_id
    assert Job.objects.get().run_after == due


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_make_one_job():
    outcomes = race(*[lambda: enqueue("test.note", {"label": "a"}, dedupe_key="k")] * 8)
    assert outcomes == {"ok": 8}
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_slot_is_taken_once_also_when_its_job_is_done():
    first = enqueue("test.note", {"label": "a"}, slot=SLOT)
    assert enqueue("test.note", {"label": "a"}, slot=SLOT) is None
    assert jobs.run(first)
    assert enqueue("test.note", {"label": "a"}, slot=SLOT) is None
    assert enqueue("test.note", {"label": "a"}, slot=SLOT + timedelta(days=1)) is not None
    assert broker.depths([Queue.REPORTS]) == {"reports": 2}


@pytest.mark.django_db
def test_jobs_of_a_test_transaction_are_due_in_it():
    jobs.enqueue("test.note", {"label": "a"})
    jobs.enqueue_many([("test.note", {"label": "b"}, "")])
    assert jobs.run_due() == 2
    assert effects() == ["a", "b"]


@pytest.mark.django_db
def test_every_registered_kind_can_be_imported():
    from django.utils.module_loading import import_string  # noqa: PLC0415

    for kind in jobs.registered():
        assert callable(import_string(kind.function)), kind
        assert kind.soft_limit < kind.hard_limit or kind.name.startswith("test."), kind


@pytest.mark.django_db
def test_queues_have_their_concurrency_and_limits():
    assert {
        queue.value: (rule.concurrency, rule.soft_limit, rule.hard_limit)
        for queue, rule in jobs.QUEUES.items()
    } == {
        "whatsapp": (5, 30, 45),
        "credit_score": (2, 60, 90),
        "order_routing": (3, 60, 90),
        "payment_reminders": (3, 30, 45),
        "reports": (1, 540, 600),
        "order_processing": (5, 60, 90),
    }
    assert [rule.number for rule in jobs.QUEUES.values()] == [1, 2, 3, 4, 5, 6]


def test_a_kind_has_the_limits_of_its_queue_or_narrower_ones():
    note = "tests.khaacho.kinds.note"
    jobs.register("test.like_its_queue", note, queue=Queue.PAYMENT_REMINDERS)
    jobs.register("test.narrow", note, queue=Queue.PAYMENT_REMINDERS, hard_limit=20)
    limits = {kind.name: (kind.soft_limit, kind.hard_limit) for kind in jobs.registered()}
    assert limits["test.like_its_queue"] == (30, 45)
    assert limits["test.narrow"] == (20, 20)
    jobs.register(
        "test.long", note, queue=Queue.REPORTS, soft_limit=5, hard_limit=9000, outlasts=True
    )
    assert jobs.kinds.limits_of("test.long", "reports") == (5, 9000)
    for wide in ({"hard_limit": 46}, {"soft_limit": 31}, {"soft_limit": 6, "hard_limit": 5}):
        with pytest.raises(ValueError, match="wider"):
            jobs.register("test.wide", note, queue=Queue.PAYMENT_REMINDERS, **wide)


def test_refuses_names_too_long_or_twice():
    with pytest.raises(ValueError, match="longer than 80"):
        jobs.register("x" * 81, "tests.khaacho.kinds.note", queue=Queue.REPORTS)
    jobs.register("test.note", "tests.khaacho.kinds.note", queue=Queue.REPORTS)
    with pytest.raises(ValueError, match=r"two kinds of job are called test\.note"):
        jobs.register("test.note", "tests.khaacho.kinds.fail", queue=Queue.REPORTS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("state = 'queued' AND run_after <= statement_timestamp()", "job_queued_idx"),
        ("state = 'running' AND lease_until < statement_timestamp()", "job_leased_idx"),
        ("state IN ('queued', 'running') AND dedupe_key = 'key-7'", "job_open_dedupe_key"),
    ],
)
def test_queries_of_the_table_use_its_partial_indexes(condition, index):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, dedupe_key, state, lease_until, run_after)"
            " SELECT 'reports', 'k', '{}', '', 'key-' || n, CASE n % 4 WHEN 1 THEN 'queued'"
            " WHEN 2 THEN 'running' ELSE 'done' END, now() + n * interval '1 minute',"
            " now() + (n - 20) * interval '1 minute' FROM generate_series(1, 5000) n"
        )
        # what others left in the indexes would count as theirs
        cursor.execute("REINDEX TABLE jobs")
        cursor.execute("ANALYZE jobs")
        cursor.execute(f"EXPLAIN SELECT id FROM jobs WHERE {condition}")
        assert index in str(cursor.fetchall())
