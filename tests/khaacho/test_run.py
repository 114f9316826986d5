"""The effect and `done` commit together, once, whatever happens to workers and messages."""

import json
import logging
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from khaacho import broker, jobs, logs, sql
from khaacho.enums import Queue
from khaacho.exceptions import LeaseLost
from khaacho.models import Job, SignInFailure
from tests.khaacho.conftest import enqueue, state, states
from tests.khaacho.kinds import effects
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)


def expire_lease() -> None:
    Job.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))


def make_due() -> None:
    Job.objects.update(run_after=timezone.now() - timedelta(seconds=1))


def test_does_the_work_and_marks_it_done():
    job_id = enqueue("test.note", {"label": "a"})
    assert jobs.run(job_id) is True
    job = Job.objects.get()
    assert (job.state, job.attempts, job.fence, job.lease_until) == ("done", 1, 1, None)
    assert job.created_at <= job.started_at <= job.finished_at
    assert effects() == ["a"]


def test_message_twice_does_the_work_once():
    job_id = enqueue("test.note", {"label": "a"})
    assert [jobs.run(job_id), jobs.run(job_id)] == [True, False]
    assert effects() == ["a"]


def test_messages_at_once_do_the_work_once():
    job_id = enqueue("test.note_slowly", {"label": "a", "seconds": 0.1})
    assert race(*[lambda: jobs.run(job_id)] * 6) == {"ok": 6}
    assert (effects(), Job.objects.get().attempts) == (["a"], 1)


def test_skips_a_job_that_does_not_exist():
    assert jobs.run(0) is False


def test_lease_is_the_hard_limit_and_a_margin(settings):
    settings.JOB_LEASE_MARGIN_SECONDS = 7
    enqueue("test.short", {"label": "a", "seconds": 0})
    jobs.claim_next()
    job = Job.objects.get()
    assert job.lease_until - job.started_at == timedelta(seconds=2 + 7)


def test_failure_undoes_the_effect_and_waits_5_then_10_seconds_then_is_dead():
    job_id = enqueue("test.fail", {"label": "a"})
    waits = []
    for _ in range(3):
        make_due()
        before = timezone.now()
        assert jobs.run(job_id) is False
        waits.append((Job.objects.get().run_after - before).total_seconds())
    assert 4 <= waits[0] <= 6.2
    assert 8 <= waits[1] <= 12.2
    job = Job.objects.get()
    assert (job.state, job.attempts) == ("dead", 3)
    assert job.finished_at is not None
    assert job.last_error.startswith("Traceback")
    assert "RuntimeError: no answer from …, token …" in job.last_error
    assert effects() == []
    make_due()
    assert jobs.run(job_id) is False
    assert jobs.sweep() == 0


def test_backoff_is_jittered():
    for _ in range(8):
        enqueue("test.fail", {"label": "a"})
    assert jobs.run_due() == 8
    waits = {round((j.run_after - j.started_at).total_seconds(), 2) for j in Job.objects.all()}
    assert len(waits) > 4


def test_last_error_keeps_the_end_within_2000_characters():
    jobs.register("test.loud", "tests.khaacho.test_run.raise_loudly", queue=Queue.REPORTS)
    jobs.run(enqueue("test.loud"))
    error = Job.objects.get().last_error
    assert (len(error), error[-4:].strip()) == (2000, "end")


def raise_loudly() -> None:
    raise RuntimeError("long " * 1000 + "end")


def test_unknown_kind_dies_and_says_so(monkeypatch):
    job_id = enqueue("test.note", {"label": "a"})
    monkeypatch.delitem(jobs.kinds.known, "test.note")
    for _ in range(3):
        make_due()
        jobs.run(job_id)
    job = Job.objects.get()
    assert job.state == "dead"
    assert "unknown kind of job: test.note" in job.last_error


def test_zombie_commits_nothing():
    """Its lease expired, another worker did the job, and then it comes to its end."""
    enqueue("test.note", {"label": "a"})
    zombie = jobs.claim_next()
    expire_lease()
    assert jobs.sweep() == 1
    assert jobs.perform(zombie) is False
    assert effects() == []
    heir = jobs.claim_next()
    assert (heir.fence, heir.attempts) == (zombie.fence + 1, 2)
    assert jobs.perform(zombie) is False
    assert jobs.perform(heir) is True
    assert jobs.perform(zombie) is False
    assert (states(), effects()) == (["done"], ["a"])


def test_failing_zombie_does_not_touch_its_heirs_job():
    enqueue("test.fail", {"label": "a"})
    zombie = jobs.claim_next()
    expire_lease()
    jobs.sweep()
    jobs.claim_next()
    assert jobs.perform(zombie) is False
    job = Job.objects.get()
    assert (job.state, job.attempts, job.lease_until is None) == ("running", 2, False)


def test_late_worker_may_finish_what_nobody_took_over():
    enqueue("test.note", {"label": "a"})
    claim = jobs.claim_next()
    expire_lease()
    assert jobs.perform(claim) is True
    assert jobs.sweep() == 0
    assert effects() == ["a"]


def test_job_whose_workers_die_three_times_is_dead():
    enqueue("test.note", {"label": "a"})
    for _ in range(3):
        assert jobs.claim_next()
        expire_lease()
        jobs.sweep()
    job = Job.objects.get()
    assert (job.state, job.attempts, job.lease_until) == ("dead", 3, None)
    assert "lease expired" in job.last_error


def test_request_while_running_runs_it_once_more():
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    claim = jobs.claim_next()
    assert enqueue("test.note", {"label": "a"}, dedupe_key="k") == job_id
    assert jobs.perform(claim) is True
    job = Job.objects.get()
    assert (job.state, job.attempts, job.rerun, job.finished_at) == ("queued", 0, False, None)
    assert broker.depths([Queue.REPORTS]) == {"reports": 2}
    assert jobs.run_due() == 1
    assert (states(), effects()) == (["done"], ["a", "a"])


def test_delayed_request_while_running_runs_it_once_more_at_its_time():
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    claim = jobs.claim_next()
    enqueue("test.note", {"label": "a"}, dedupe_key="k", delay=timedelta(hours=1))
    jobs.perform(claim)
    assert (state(job_id), jobs.run_due(), jobs.sweep()) == ("queued", 0, 0)
    make_due()
    assert (jobs.sweep(), jobs.run_due()) == (1, 1)


def test_request_while_the_last_attempt_fails_is_not_buried_with_it():
    job_id = enqueue("test.fail", {"label": "a"}, dedupe_key="k")
    Job.objects.update(attempts=2)
    claim = jobs.claim_next()
    enqueue("test.fail", {"label": "a"}, dedupe_key="k")
    jobs.perform(claim)
    assert (state(job_id), Job.objects.get().attempts) == ("queued", 0)


def test_request_before_a_retry_needs_no_second_run():
    job_id = enqueue("test.note", {"label": "a"}, dedupe_key="k")
    claim = jobs.claim_next()
    enqueue("test.note", {"label": "a"}, dedupe_key="k")
    jobs.give_back(claim, "RuntimeError")
    make_due()
    assert jobs.run(job_id)
    assert (state(job_id), effects()) == ("done", ["a"])


def test_kind_that_is_not_atomic_gets_its_claim_and_commits_its_steps():
    job_id = enqueue("test.call_network", {"label": "a"})
    assert jobs.run(job_id)
    assert (state(job_id), effects(), Job.objects.get().progress) == ("done", ["a 1"], 40)


def test_progress_tells_a_zombie_that_it_is_one():
    enqueue("test.call_network", {"label": "a"})
    zombie = jobs.claim_next()
    expire_lease()
    jobs.sweep()
    jobs.claim_next()
    with pytest.raises(LeaseLost):
        jobs.report_progress(zombie, 50)
    assert jobs.perform(zombie) is False
    assert states() == ["running"]


def test_run_due_takes_the_most_urgent_first_and_keeps_to_queue_and_limit():
    for label, priority in (("low", 0), ("high", 5), ("middle", 1)):
        enqueue("test.note", {"label": label}, priority=priority)
    enqueue("test.call_network", {"label": "other"}, priority=9)
    assert jobs.run_due(2, queue=Queue.REPORTS) == 2
    assert effects() == ["high", "middle"]
    assert jobs.run_due() == 2
    assert effects() == ["high", "middle", "other 1", "low"]


def test_claims_at_once_take_different_jobs():
    for i in range(6):
        enqueue("test.note", {"label": str(i)})
    assert race(*[lambda: jobs.perform(jobs.claim_next())] * 6) == {"ok": 6}
    assert sorted(effects()) == list("012345")
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


def test_what_a_refusal_left_to_do_after_the_rollback_is_done():
    jobs.register("test.refuse", "tests.khaacho.test_run.refuse_and_remember", queue=Queue.REPORTS)
    assert jobs.run(enqueue("test.refuse")) is False
    assert effects() == ["remembered"]


def refuse_and_remember() -> None:
    SignInFailure.objects.create(phone="rolled back")
    error = LookupError()
    error.after_rollback = lambda: SignInFailure.objects.create(phone="remembered")
    raise error


@pytest.mark.usefixtures("_request_id")
def test_request_id_reaches_the_job_its_children_and_their_log_lines(caplog):
    enqueue("test.note_request")
    token = logs.request_id.set("")
    try:
        assert jobs.run_due() == 2
    finally:
        logs.request_id.reset(token)
    assert effects() == ["req-1", "child"]
    assert set(Job.objects.values_list("request_id", flat=True)) == {"req-1"}


def test_who_asked_reaches_the_job_its_children_and_those_of_many(caplog):
    token = logs.user_id.set(7)
    try:
        enqueue("test.note_request")
        with transaction.atomic():
            jobs.insert([jobs.NewJob("test.note", {"label": "of many"})])
    finally:
        logs.user_id.reset(token)
    enqueue("test.note", {"label": "nobody's"})
    assert jobs.run_due() == 4
    asked = Job.objects.values_list("kind", "user_id").order_by("pk")
    assert [user for _, user in asked] == [7, 7, None, 7], asked
    assert logs.user_id.get() is None


@pytest.mark.usefixtures("_request_id")
def test_log_line_carries_the_requests_and_the_jobs_id():
    lines: list[dict] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(logs.JSONFormatter().format(record)))

    handler = Lines()
    handler.addFilter(logs.RequestFilter())
    jobs.running.log.addHandler(handler)
    try:
        job_id = enqueue("test.fail", {"label": "a"})
        jobs.run(job_id)
    finally:
        jobs.running.log.removeHandler(handler)
    assert [(x["event"], x["request_id"], x["job_id"], x["kind"]) for x in lines] == [
        ("job.failed", "req-1", job_id, "test.fail")
    ]
    assert "9812345678" not in json.dumps(lines)
    assert logs.job_id.get() is None


def test_job_without_a_request_is_the_origin_of_its_children():
    job_id = enqueue("test.note_request")
    jobs.run_due()
    assert effects() == [f"job-{job_id}", "child"]
    assert list(Job.objects.order_by("pk").values_list("request_id", flat=True)) == [
        "",
        f"job-{job_id}",
    ]


@pytest.mark.parametrize("queues", [1, 2])
def test_the_next_job_is_found_without_sorting_what_waits(queues):
    sql.execute(
        "INSERT INTO jobs (queue, kind, args, reference, run_after)"
        " SELECT (ARRAY['reports', 'whatsapp'])[1 + mod(n, %s)], 'test.note', '{}', '',"
        " now() - interval '1 s' * n FROM generate_series(1, 5000) n",
        [queues],
    )
    sql.execute("ANALYZE jobs")
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + jobs.running.CLAIM_NEXT,
            {"limits": json.dumps(jobs.kinds.hard_limits()), "margin": 1, "queue": None},
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "job_next_idx" in plan
    assert "Sort" not in plan
