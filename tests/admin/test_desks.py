"""What staff do to jobs, alerts and users, where a page could not go wrong but a race could."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from khaacho import alert_desk, job_desk, jobs, tokens, user_desk
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import Alert, AuditLog, Job, RefreshToken
from tests.admin.test_verbs import alert, dead_job
from tests.factories import make_actor, make_retailer, make_user, retailer_actor

pytestmark = pytest.mark.django_db


def test_a_dead_job_begins_anew_and_runs():
    job = dead_job()
    officer = make_actor()
    job_desk.retry(job.pk, officer)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.finished_at, job.published_at) == ("queued", 0, None, None)
    entry = AuditLog.objects.get(action="job.retried")
    assert (entry.user_id, entry.entity_id) == (officer.user_id, job.pk)
    assert jobs.run(job.pk)


def test_a_waiting_job_runs_now_and_keeps_its_attempts():
    job = dead_job()
    Job.objects.filter(pk=job.pk).update(
        state="queued", attempts=2, run_after=Now() + timedelta(hours=1)
    )
    job_desk.retry(job.pk, make_actor())
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 2)
    assert jobs.run(job.pk)


@pytest.mark.parametrize("state", ["queued", "done", "running"])
def test_no_retry_of_a_job_that_is_due_done_or_running(state: str):
    job = dead_job()
    lease = Now() if state == "running" else None
    Job.objects.filter(pk=job.pk).update(state=state, lease_until=lease)
    with pytest.raises(Conflict):
        job_desk.retry(job.pk, make_actor())
    assert not AuditLog.objects.filter(action="job.retried").exists()


def test_no_retry_beside_another_open_job_of_the_same_key():
    job = dead_job()
    Job.objects.filter(pk=job.pk).update(dedupe_key="overdue")
    jobs.enqueue("orders.mark_overdue", dedupe_key="overdue")
    with pytest.raises(Conflict, match="queued in another job"):
        job_desk.retry(job.pk, make_actor())
    job.refresh_from_db()
    assert job.state == "dead"


def test_desks_are_for_staff_and_for_what_exists():
    shop = retailer_actor(make_retailer())
    with pytest.raises(Forbidden):
        job_desk.retry(dead_job().pk, shop)
    with pytest.raises(Forbidden):
        alert_desk.resolve(alert_id=alert().pk, reason="x", actor=shop)
    with pytest.raises(NotFound):
        job_desk.retry(10**9, make_actor())
    with pytest.raises(NotFound):
        alert_desk.acknowledge(alert_id=10**9, actor=make_actor())
    with pytest.raises(NotFound):
        user_desk.activate(user_id=10**9, actor=make_actor())


def test_an_alert_is_seen_once_and_resolved_once():
    found = alert()
    officer = make_actor()
    alert_desk.acknowledge(alert_id=found.pk, actor=officer)
    with pytest.raises(Conflict):
        alert_desk.acknowledge(alert_id=found.pk, actor=officer)
    alert_desk.resolve(alert_id=found.pk, reason="seen to", actor=officer)
    with pytest.raises(Conflict):
        alert_desk.resolve(alert_id=found.pk, reason="seen to", actor=officer)
    found = Alert.objects.get()
    assert found.acknowledged_by_id == officer.user_id
    assert found.resolved_at is not None


def test_a_new_password_ends_every_session(client):
    user = make_user()
    client.force_login(user)
    tokens.issue(user)
    user_desk.reset_password(user_id=user.pk, password="a long new one", actor=make_actor())
    user.refresh_from_db()
    assert user.check_password("a long new one")
    assert RefreshToken.objects.get().revoked_at is not None
    assert client.get("/admin/").status_code == 302
    entry = AuditLog.objects.get(action="user.password_reset")
    assert "password" not in entry.new_values


def test_a_weak_password_is_refused():
    with pytest.raises(Invalid) as refused:
        user_desk.reset_password(user_id=make_user().pk, password="12345", actor=make_actor())
    assert "password" in refused.value.errors


def test_operators_touch_no_administrator_and_nobody_shuts_himself_out():
    boss = make_user(Role.ADMIN)
    operator = make_actor()
    with pytest.raises(Forbidden):
        user_desk.reset_password(user_id=boss.pk, password="a long new one", actor=operator)
    with pytest.raises(Forbidden):
        user_desk.deactivate(user_id=boss.pk, reason="x", actor=operator)
    with pytest.raises(Forbidden):
        user_desk.add_staff(
            phone="+9779812345678",
            name="Eve",
            role=Role.ADMIN,
            password="a long new one",
            groups=(),
            actor=operator,
        )
    chief = Actor(user_id=boss.pk, role=Role.ADMIN)
    with pytest.raises(Forbidden, match="yourself"):
        user_desk.deactivate(user_id=boss.pk, reason="x", actor=chief)
