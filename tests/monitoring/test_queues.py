"""The figures of the queues: equal to a plain recount of `jobs`, whatever was counted when."""

import random
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bench.reference import queue_recount
from khaacho import jobs, sql
from khaacho.enums import Queue
from khaacho.jobs.nodes import BEAT, SWEEP, Node
from khaacho.models import Job, QueueSetting
from monitoring import durations, job_minutes, queues
from monitoring.models import JobMinute
from tests.factories import make_user
from tests.processes import free_port

pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def now():
    return sql.fetch("SELECT statement_timestamp()")[0][0]


def done(moment, queue="whatsapp", *, wait=1.0, run=0.5, **fields):
    started = moment - timedelta(seconds=run)
    return Job(
        queue=queue,
        kind="k",
        state="done",
        run_after=started - timedelta(seconds=wait),
        started_at=started,
        finished_at=moment,
        **fields,
    )


def figures(queue="whatsapp"):
    return next(each for each in queues.overview().queues if each.queue == queue)


def a_trade_of_jobs(chance, moment, count):
    """Make jobs of every state, most of them around the edges of the periods that are counted."""
    edges = (timedelta(0), 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, DAY, 2 * DAY)
    made = []
    for _ in range(count):
        at = moment - chance.choice(edges) - chance.uniform(-90, 90) * timedelta(seconds=1)
        at = min(at, moment)
        job = done(
            at,
            chance.choice(Queue.values),
            wait=chance.expovariate(1),
            run=chance.expovariate(5),
            coalesced=chance.choice((0, 0, 1, 3)),
            stalls=chance.choice((0, 0, 0, 1)),
            attempts=chance.choice((0, 1, 2)),
        )
        job.state = chance.choice(
            ("done", "done", "done", "queued", "running", "dead", "cancelled")
        )
        if job.state in ("queued", "running"):
            job.finished_at = None
            job.run_after = moment + chance.uniform(-600, 600) * timedelta(seconds=1)
        job.lease_until = moment + HOUR if job.state == "running" else None
        job.failed_at = at if chance.random() < 0.3 else None
        made.append(job)
    Job.objects.bulk_create(made)


def assert_equal_to_a_recount():
    found = queues.overview()
    counts, lasted = queue_recount.counts(found.now), queue_recount.lasted(found.now)
    assert len(counts) == len(Queue)
    for each in found.queues:
        assert {f: getattr(each, f) for f in queue_recount.FIELDS} == counts[each.queue], each.queue
        wait, run = lasted.get(each.queue, (None, None))
        assert each.wait_p95_ms == near(wait)
        assert each.run_p95_ms == near(run)


def near(exact):
    """Allow for the bucket and for rounding to whole ms."""
    return (
        exact if exact is None else pytest.approx(exact, rel=0, abs=durations.ERROR * exact + 1.5)
    )


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_a_recount_before_and_after_counting(seed):
    chance = random.Random(seed)
    a_trade_of_jobs(chance, now(), 400)
    assert_equal_to_a_recount()
    job_minutes.count()
    assert JobMinute.objects.exists()
    assert_equal_to_a_recount()
    a_trade_of_jobs(chance, now(), 0)
    Job.objects.bulk_create([done(now(), queue, coalesced=2) for queue in Queue.values])
    assert_equal_to_a_recount()
    job_minutes.count()
    assert_equal_to_a_recount()


@pytest.mark.parametrize("ago", [MINUTE, 4 * MINUTE, 30 * MINUTE, 61 * MINUTE, 2 * HOUR, 26 * HOUR])
def test_equal_to_a_recount_when_nobody_counted_for_a_while(ago):
    moment = now()
    a_trade_of_jobs(random.Random(1), moment, 400)
    job_minutes.count()
    later = moment - ago
    JobMinute.objects.filter(minute__gt=later - MINUTE).delete()
    JobMinute.objects.filter(counted_until__gt=later).update(counted_until=later)
    assert_equal_to_a_recount()


def test_counts_once_however_often(django_assert_num_queries):
    moment = now().replace(second=30) - 3 * MINUTE
    Job.objects.bulk_create([done(moment, coalesced=2, stalls=1) for _ in range(3)])
    for _ in range(3):
        job_minutes.count()
    row = JobMinute.objects.get()
    assert (row.queue, row.done, row.deduplicated, row.stalled) == ("whatsapp", 3, 6, 3)
    assert row.minute == moment.replace(second=0, microsecond=0)
    assert row.waits == {str(durations.bucket(1000)): 3}
    assert row.runs == {str(durations.bucket(500)): 3}
    assert row.counted_until == row.minute + MINUTE


def test_what_was_committed_late_is_counted_with_the_next():
    moment = now() - 2 * MINUTE
    Job.objects.bulk_create([done(moment)])
    job_minutes.count()
    Job.objects.bulk_create([done(moment)])
    job_minutes.count()
    assert JobMinute.objects.get().done == 2


def test_what_may_still_be_committed_is_not_counted_yet():
    Job.objects.bulk_create([done(now() - job_minutes.SETTLED / 2)])
    job_minutes.count()
    assert not JobMinute.objects.exists()
    assert figures().completed_1h == 1


def test_what_is_counted_is_not_read_again():
    moment = now() - 10 * MINUTE
    Job.objects.bulk_create([done(moment), done(moment + 9 * MINUTE)])
    job_minutes.count()
    Job.objects.filter(finished_at=moment).update(finished_at=moment - 10 * DAY)
    assert figures().completed_1h == 2


def test_minutes_are_kept_thirty_days():
    Job.objects.bulk_create([done(now() - 5 * MINUTE)])
    job_minutes.count()
    row = JobMinute.objects.get()
    for days in (29, 31):
        row.pk, row.minute = None, now() - timedelta(days=days)
        row.save(force_insert=True)
    job_minutes.count()
    assert sorted((now() - each.minute).days for each in JobMinute.objects.all()) == [0, 29]


@pytest.mark.django_db(transaction=True)
def test_one_counts_at_a_time(redis_url):
    Job.objects.bulk_create([done(now() - 5 * MINUTE)])
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [job_minutes.LOCK])
        with pytest.raises(OperationalError, match="lock timeout"), transaction.atomic():
            _count_impatiently()
    finally:
        other.close()
    assert job_minutes.count() == 1


def _count_impatiently():
    sql.execute("SET LOCAL lock_timeout = 100")
    job_minutes.count()


def test_what_is_waited_for():
    moment = now()
    Job.objects.bulk_create(
        [
            Job(queue="reports", kind="k", run_after=moment - timedelta(seconds=90)),
            Job(queue="reports", kind="k", run_after=moment - timedelta(seconds=30)),
            Job(queue="reports", kind="k", run_after=moment + HOUR),
            Job(queue="reports", kind="k", run_after=moment + MINUTE, attempts=1),
        ]
    )
    found = figures("reports")
    assert (found.waiting, found.delayed, found.retrying) == (2, 1, 1)
    assert found.oldest_waiting_seconds == pytest.approx(90, abs=5)
    assert figures("whatsapp").oldest_waiting_seconds == 0
    assert queues.backlog() == (pytest.approx(90, abs=5), 0)


def test_a_paused_queue_says_why_and_by_whom():
    user = make_user()
    QueueSetting.objects.create(
        queue="reports", is_paused=True, reason="Printer burns.", changed_by=user
    )
    found = figures("reports")
    assert (found.paused, found.pause_reason, found.paused_by) == (
        True,
        "Printer burns.",
        user.name,
    )
    assert not figures("whatsapp").paused


def test_who_works_and_when_the_clock_was_last_looked_at():
    assert queues.overview().beat_last_tick_seconds is None
    Node("w1@host", ["whatsapp"], 5).report(is_new=True)
    Node("gone@host", ["whatsapp"], 5).report(is_new=True)
    sql.execute(
        "UPDATE worker_nodes SET seen_at = now() - interval '1 hour' WHERE name = 'gone@host'"
    )
    for name in (BEAT, SWEEP):
        Node(name).report(is_new=True)
    found = queues.overview()
    [worker] = found.workers
    assert (worker.name, worker.queues, worker.concurrency) == ("w1@host", ("whatsapp",), 5)
    assert worker.seen_seconds < 5
    assert found.beat_last_tick_seconds < 5
    assert found.sweep_last_run_seconds < 5


def test_redis_down_leaves_the_counts(settings):
    Job.objects.create(queue="reports", kind="k")
    assert figures("reports").broker_depth == 0
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    found = queues.overview()
    assert found.redis == "down"
    assert {each.broker_depth for each in found.queues} == {None}
    assert [each.waiting for each in found.queues if each.queue == "reports"] == [1]


def test_curves_of_three_hours():
    moment = now().replace(second=0, microsecond=0)
    Job.objects.bulk_create(
        [
            *(done(moment - MINUTE) for _ in range(3)),
            *(done(moment - 6 * MINUTE) for _ in range(2)),
            done(moment - 3 * HOUR),
            done(moment - 3 * HOUR - MINUTE),
        ]
    )
    wanted = [1, *[0] * 33, 2, 3]
    assert queues.curves()["whatsapp"] == wanted
    job_minutes.count()
    assert queues.curves()["whatsapp"] == wanted
    assert queues.curves()["reports"] == [0] * 36


def test_the_same_statements_at_any_number_of_jobs():
    def statements():
        with CaptureQueriesContext(connection) as captured:
            queues.overview()
        return len(captured)

    few = statements()
    a_trade_of_jobs(random.Random(2), now(), 300)
    job_minutes.count()
    assert statements() == few == 6


def test_beat_has_it_done_every_minute():
    kind = next(kind for kind in jobs.registered() if kind.name == "monitoring.count_jobs")
    Job.objects.bulk_create([done(now() - 5 * MINUTE)])
    with transaction.atomic():
        jobs.enqueue(kind.name)
    assert jobs.run_due(queue=kind.queue) == 1
    assert JobMinute.objects.count() == 1


def test_a_period_begins_with_a_whole_minute():
    begun = now().replace(second=0, microsecond=0) - HOUR
    finished = [begun + timedelta(microseconds=n) for n in (-60_000_000, -1, 0, 60_000_000)]
    Job.objects.bulk_create([done(each) for each in finished])
    for _ in range(2):
        found = queues.overview()
        first = found.now.replace(second=0, microsecond=0) - HOUR
        [queue] = [each for each in found.queues if each.queue == "whatsapp"]
        assert queue.completed_1h == sum(each >= first for each in finished)
        job_minutes.count()
