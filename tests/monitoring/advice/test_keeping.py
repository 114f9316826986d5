"""Advice kept: renewed, dismissed, closed when its index is there, measured since; and shown in the admin."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F
from django.test import Client

from khaacho import jobs, permissions, sql
from khaacho.actors import SYSTEM, Actor
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Forbidden
from khaacho.models import AuditLog, Job
from monitoring.advice import advisor, desk, effects, keeping
from monitoring.enums import AdviceState
from monitoring.models import AdviceRun, IndexAdvice
from tests.admin.conftest import signed_in
from tests.admin.desk import act, list_of, page_of, texts
from tests.factories import make_employee, make_user

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

STATEMENT = "SELECT id AS kept FROM bazaar.customers WHERE name = 'c9'"


@pytest.fixture
def advice(ran) -> IndexAdvice:
    ran(STATEMENT, 40)
    keeping.store(advisor.advise())
    return IndexAdvice.objects.get(table="bazaar.customers", definition__startswith="(name)")


@pytest.fixture
def boss(bazaar) -> Client:
    permissions.sync_groups()
    return signed_in(make_user(Role.ADMIN, is_superuser=True))


def test_found_again_it_is_the_same(advice):
    IndexAdvice.objects.update(last_seen_at=F("last_seen_at") - timedelta(days=1))
    keeping.store(advisor.advise())
    again = IndexAdvice.objects.get(pk=advice.pk)
    assert again.first_seen_at == advice.first_seen_at
    assert again.last_seen_at > advice.last_seen_at - timedelta(hours=1)
    assert (again.state, again.is_verified) == (AdviceState.OPEN, True)
    assert again.size > 0
    [run, _] = AdviceRun.objects.order_by("-pk")
    assert (run.is_verified, run.is_complete) == (True, True)
    assert keeping.candidate_of(again).definition == again.definition


def test_dismissed_it_stays_dismissed(advice):
    desk.dismiss(advice_id=advice.pk, reason="A table that goes soon.", actor=SYSTEM)
    keeping.store(advisor.advise())
    advice.refresh_from_db()
    assert (advice.state, advice.reason) == (AdviceState.DISMISSED, "A table that goes soon.")
    with pytest.raises(Conflict):
        desk.dismiss(advice_id=advice.pk, reason="again", actor=SYSTEM)
    desk.reopen(advice_id=advice.pk, actor=SYSTEM)
    actions = AuditLog.objects.filter(entity_type="index_advice", entity_id=advice.pk)
    assert sorted(actions.values_list("action", flat=True)) == [
        "index_advice.dismissed",
        "index_advice.reopened",
    ]


def test_closed_with_its_index_and_measured_since(advice, ran):
    queryid = ran(STATEMENT)
    assert effects.effects(advice) == []
    sql.execute("CREATE INDEX made_idx ON bazaar.customers (name, id)")
    keeping.store(advisor.advise())
    advice.refresh_from_db()
    assert (advice.state, advice.index_name) == (AdviceState.CREATED, "made_idx")
    before, [nothing] = advice.measured[str(queryid)], effects.effects(advice)
    assert (nothing.calls, nothing.after_ms, nothing.cut) == (0, None, None)
    ran(STATEMENT, 30)
    [effect] = effects.effects(advice)
    assert (effect.queryid, effect.calls) == (queryid, 30)
    assert effect.before_ms == pytest.approx(before[1] / before[0])
    assert 0 < effect.after_ms < effect.before_ms
    assert effect.cut == pytest.approx(1 - effect.after_ms / effect.before_ms)


def test_an_index_that_was_dropped_again_is_advised_anew(advice):
    sql.execute("CREATE INDEX made_idx ON bazaar.customers (name, id)")
    keeping.notice_created()
    sql.execute("DROP INDEX bazaar.made_idx")
    keeping.store(advisor.advise())
    advice.refresh_from_db()
    assert (advice.state, advice.index_name, advice.index_seen_at) == (AdviceState.OPEN, "", None)


def test_what_was_not_found_for_two_weeks_is_forgotten(bazaar):
    shape = {"table": ["bazaar", "small"], "keys": [], "included": [], "where": [], "parts": []}
    for days, state in ((13, "open"), (15, "open"), (15, "dismissed")):
        made = IndexAdvice.objects.create(
            table="bazaar.small",
            definition=f"({days} {state})",
            shape=shape,
            is_verified=False,
            state=state,
        )
        IndexAdvice.objects.filter(pk=made.pk).update(
            last_seen_at=made.first_seen_at - timedelta(days=days)
        )
    keeping.store(advisor.advise())
    left = IndexAdvice.objects.filter(table="bazaar.small").values_list("definition", flat=True)
    assert sorted(left) == ["(13 open)", "(15 dismissed)"]


def test_a_job_searches(bazaar, ran):
    ran(STATEMENT, 40)
    desk.request_advice(actor=SYSTEM)
    desk.request_advice(actor=SYSTEM)
    job = Job.objects.get(kind=desk.ADVISE)
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.last_error) == ("done", "")
    assert IndexAdvice.objects.filter(table="bazaar.customers").exists()


def test_only_whose_groups_allow_it(advice):
    user = make_employee("Support")
    actor = Actor(user_id=user.pk, role=Role(user.role), name=user.name)
    with pytest.raises(Forbidden):
        desk.request_advice(actor=actor)
    with pytest.raises(Forbidden):
        desk.dismiss(advice_id=advice.pk, reason="no", actor=actor)
    stranger = signed_in(user)
    assert stranger.get(page_of(advice)).status_code == 403
    database = signed_in(make_employee("Database"))
    assert database.get(page_of(advice)).status_code == 200


def test_the_admin_shows_lines_to_paste_and_dismisses(boss, advice):
    listed = boss.get(list_of(IndexAdvice)).content.decode()
    assert "bazaar.customers (name)" in listed
    assert "verified by the planner" in listed
    page = boss.get(page_of(advice)).content.decode()
    assert "CREATE INDEX CONCURRENTLY customers_name_idx ON bazaar.customers (name)" in page
    assert f"/admin/database/plan/{keeping.queryids(advice)[0]}/" in page
    assert "style=" not in page.split('id="content-main"')[1]
    answer = act(boss, advice, "dismiss_advice", reason="Not now.")
    assert "is dismissed" in texts(answer)
    advice.refresh_from_db()
    assert (advice.state, advice.reason) == (AdviceState.DISMISSED, "Not now.")
    assert "Not now." in boss.get(page_of(advice)).content.decode()


def test_the_admin_shows_what_became_of_it(boss, advice, ran):
    sql.execute("CREATE INDEX made_idx ON bazaar.customers (name, id)")
    keeping.notice_created()
    ran(STATEMENT, 5)
    advice.refresh_from_db()
    page = boss.get(page_of(advice)).content.decode()
    assert "made_idx" in page
    assert "Calls since" in page


def test_the_list_asks_for_as_much_with_fifty(boss, advice, django_assert_max_num_queries):
    IndexAdvice.objects.bulk_create(
        IndexAdvice(table="x", definition=str(n), shape=advice.shape, is_verified=True)
        for n in range(50)
    )
    with django_assert_max_num_queries(8):
        boss.get(list_of(IndexAdvice))


def test_the_command(ran, capsys):
    ran(STATEMENT, 40)
    call_command("advise_indexes", "--dry-run")
    printed = capsys.readouterr().out
    assert "CREATE INDEX CONCURRENTLY customers_name_idx ON bazaar.customers (name)" in printed
    assert not IndexAdvice.objects.exists()
    call_command("advise_indexes", "--format", "json", "--limit", "100")
    found = json.loads(capsys.readouterr().out)
    assert found["is_verified"] is True
    names = [each["wording"]["name"] for each in found["suggestions"]]
    assert "customers_name_idx" in names
    assert IndexAdvice.objects.filter(table="bazaar.customers").exists()
