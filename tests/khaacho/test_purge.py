"""What is kept no longer goes, in batches that commit; what still speaks for something stays."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from khaacho import jobs, purging, schedules, sql, tokens
from khaacho.models import IdempotencyKey, Job, RefreshToken, SignInFailure, WorkerNode
from khaacho.purging import Part
from tests.factories import make_user
from tests.khaacho.conftest import enqueue, state

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = timedelta(days=1)


def ago(days: float) -> datetime:
    return timezone.now() - days * DAYS


def make_job(state: str, days: float, **columns) -> int:
    columns = {"queue": "reports", "kind": "test.note"} | columns
    return Job.objects.create(state=state, finished_at=ago(days), **columns).pk


def left() -> set[int]:
    return set(Job.objects.values_list("pk", flat=True))


def purge(batch: int = purging.BATCH) -> dict[str, int]:
    gone: dict[str, int] = {}
    for part, deleted, _ in purging.run(batch):
        gone[part.name] = gone.get(part.name, 0) + deleted
    return {name: count for name, count in gone.items() if count}


def test_jobs_go_by_their_state_and_age():
    kept = {
        make_job("done", 6.9),
        make_job("cancelled", 6.9),
        make_job("dead", 89.9),
        make_job("queued", 400),
        make_job("running", 400, lease_until=timezone.now()),
    }
    for queue in jobs.QUEUES:
        make_job("done", 7.1, queue=queue)
    make_job("cancelled", 7.1)
    make_job("dead", 90.1)
    assert purge() == {
        "done jobs": len(jobs.QUEUES),
        "cancelled jobs": 1,
        "dead jobs": 1,
    }
    assert left() == kept


def test_the_newest_slot_of_a_kind_stays_so_that_it_cannot_run_again():
    schedules.tick("every month")
    newest = Job.objects.get()
    Job.objects.update(state="done", finished_at=ago(20))
    older = make_job("done", 50, kind="test.fail", slot=newest.slot - 31 * DAYS)
    other = make_job("dead", 100, kind="test.die", slot=newest.slot - 62 * DAYS)
    assert purge() == {"done jobs": 1}
    assert left() == {newest.pk, other}
    assert older not in left()
    assert schedules.tick("every month") is False


def test_keys_failures_and_nodes_go_by_their_age(settings):
    user = make_user()
    for number, days in enumerate((29.9, 30.1)):
        IdempotencyKey.objects.create(
            user=user, key=str(number), fingerprint="f", created_at=ago(days)
        )
    for days in (6.9, 7.1):
        SignInFailure.objects.create(phone=str(days), created_at=ago(days))
    for name, concurrency, days in (("new", 1, 0.9), ("old", 1, 1.1), ("beat", 0, 9)):
        WorkerNode.objects.create(name=name, concurrency=concurrency, seen_at=ago(days))
    assert purge() == {"idempotency keys": 1, "sign-in failures": 1, "dead worker nodes": 1}
    assert IdempotencyKey.objects.get().key == "0"
    assert SignInFailure.objects.get().phone == "6.9"
    assert set(WorkerNode.objects.values_list("name", flat=True)) == {"new", "beat"}
    settings.IDEMPOTENCY_RETENTION = timedelta(days=1)
    assert purge() == {"idempotency keys": 1}


def make_token(family: uuid.UUID, days: float, *, revoked: bool = False) -> int:
    """Insert a token that expires in so many days."""
    return RefreshToken.objects.create(
        family=family,
        user=make_user(),
        digest=uuid.uuid4().hex,
        expires_at=ago(-days),
        revoked_at=ago(1) if revoked else None,
    ).pk


def test_expired_tokens_go_but_a_revoked_one_while_its_family_could_be_used():
    used, revoked, over = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    make_token(used, -0.1)
    make_token(over, -0.1, revoked=True)
    kept = {make_token(used, 29), make_token(revoked, -0.1, revoked=True), make_token(revoked, 29)}
    assert purge() == {"refresh tokens": 2}
    assert set(RefreshToken.objects.values_list("pk", flat=True)) == kept


def test_a_token_inserted_while_its_family_was_revoked_stays_refused_after_the_purge():
    with transaction.atomic():
        first = tokens.issue(make_user())
    tokens.revoke(first.refresh)
    RefreshToken.objects.update(expires_at=ago(1))
    row = RefreshToken.objects.get()
    late = "late"
    RefreshToken.objects.create(
        family=row.family, user=row.user, digest=tokens._digest(late), expires_at=ago(-20)
    )
    purge()
    with pytest.raises(tokens.TokenRefused):
        tokens.refresh(late)


def test_batches_commit_one_by_one_and_progress_grows():
    for _ in range(7):
        make_job("done", 8)
    steps = []
    for part, deleted, percent in purging.run(3):
        assert not connection.in_atomic_block
        if part.name == "done jobs":
            steps.append((deleted, len(left())))
        assert 0 <= percent <= 100
    assert steps == [(3, 4), (3, 1), (1, 0)]
    assert percent == 100


def test_the_nights_job_purges_and_is_stopped_by_a_cancellation():
    for _ in range(3):
        make_job("done", 8)
    job_id = enqueue(purging.KIND)
    assert jobs.run(job_id)
    job = Job.objects.get()
    assert (job.pk, job.state, job.progress) == (job_id, "done", 100)
    claim = jobs.Claim(job_id, purging.KIND, {}, fence=99, attempts=1, max_attempts=3)
    make_job("done", 8)
    with pytest.raises(jobs.running.LeaseLost):
        purging.purge(claim=claim)


def test_runs_at_four_in_the_night():
    schedules.tick("purge of what is kept no longer")
    slot = Job.objects.get(kind=purging.KIND).slot
    assert slot.astimezone(schedules.KATHMANDU).strftime("%H:%M") == "04:00"


def test_an_app_above_has_its_own_purged_too(monkeypatch):
    monkeypatch.setattr(purging, "_more", {})
    part = Part("failures of one phone", "sign_in_failures", "phone = 'x'", "id")
    purging.register("test", lambda: part)
    SignInFailure.objects.create(phone="x")
    SignInFailure.objects.create(phone="y")
    assert purge() == {"failures of one phone": 1}
    with pytest.raises(ValueError, match="two purges"):
        purging.register("test", lambda: part)


def test_command_counts_first_and_deletes_when_asked(capsys):
    make_job("done", 8)
    kept = make_job("done", 1)
    call_command("purge", "--dry-run")
    assert capsys.readouterr().out == "would delete 1 done jobs\nwould delete 1 rows\n"
    assert len(left()) == 2
    call_command("purge")
    assert capsys.readouterr().out == "deleted 1 done jobs\ndeleted 1 rows\n"
    assert left() == {kept}
    call_command("purge")
    assert capsys.readouterr().out == "deleted 0 rows\n"


FILLED = {
    "jobs": "INSERT INTO jobs (queue, kind, args, reference, state, finished_at, slot)"
    " SELECT 'reports', 'k', '{}', '', 'done', now() - interval '1 hour' * n,"
    " CASE WHEN mod(n, 50) = 0 THEN now() - interval '1 hour' * n END FROM generate_series(1, 8000) n",
    "idempotency_keys": "INSERT INTO idempotency_keys (user_id, key, fingerprint, created_at)"
    " SELECT %(user)s, n, '', now() - interval '3 minutes' * n FROM generate_series(1, 20000) n",
    "refresh_tokens": "INSERT INTO refresh_tokens (family, user_id, digest, expires_at)"
    " SELECT gen_random_uuid(), %(user)s, n, now() + interval '2 minutes' * (n - 1000)"
    " FROM generate_series(1, 20000) n",
    "sign_in_failures": "INSERT INTO sign_in_failures (phone, created_at)"
    " SELECT n, now() - interval '1 minute' * n FROM generate_series(1, 15000) n",
}
INDEXES = {
    "jobs": "job_finished_idx",
    "idempotency_keys": "idempotency_created_idx",
    "refresh_tokens": "refresh_token_expires_idx",
    "sign_in_failures": "sign_in_failure_created_idx",
}


@pytest.mark.parametrize("table", FILLED)
def test_each_batch_is_found_by_an_index(table, settings):
    user = make_user()
    sql.execute(FILLED[table], {"user": user.pk})
    sql.execute(f"VACUUM (ANALYZE) {table}")
    for part in purging.parts():
        if part.table != table:
            continue
        with connection.cursor() as cursor:
            cursor.execute(
                f"EXPLAIN SELECT id FROM {table} t WHERE {part.condition} ORDER BY {part.order}"
                " LIMIT 1000",
                part.params,
            )
            plan = "\n".join(row[0] for row in cursor.fetchall())
        own = f"job_{part.params.get('state')}_idx"  # of a state that has no rows here
        assert INDEXES[table] in plan or own in plan, plan
        assert "Seq Scan" not in plan, plan


def test_a_purged_job_is_gone_and_others_go_on():
    job_id = enqueue("test.note", {"label": "a"})
    make_job("done", 8)
    purge()
    assert (jobs.run(job_id), state(job_id)) == (True, "done")


def test_slots_of_long_ago_do_not_hide_a_later_one():
    for month in range(1, 6):
        Job.objects.create(
            queue="reports",
            kind="test.fail",
            slot=datetime(2025, month, 1, tzinfo=UTC),
            state="done",
            finished_at=datetime(2025, month, 1, tzinfo=UTC),
        )
    assert purge() == {"done jobs": 4}
    assert Job.objects.get().slot == datetime(2025, 5, 1, tzinfo=UTC)
