"""Each measure reads what is there; what is over a threshold raises one alert, the gravest."""

import os
import threading
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from khaacho import sql
from khaacho.actors import SYSTEM
from khaacho.enums import JobState, Queue, Role
from khaacho.exceptions import Forbidden, Invalid, NotFound
from khaacho.jobs import QUEUES
from khaacho.models import Alert, AuditLog, Job
from monitoring.alerting import measures, rules
from monitoring.alerting.measures import Sight, read
from monitoring.enums import RuleMeasure
from monitoring.models import AlertRule, OriginSpan
from tests.factories import make_actor
from tests.monitoring.sessions import chain, state_of
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])
# what is read beside the pool has to be committed
committed = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


@pytest.fixture(autouse=True)
def _only_ours(settings, db):
    """Have the rules as they are at first, and no disk of this machine break one."""
    rules.add_missing()
    settings.WATCHED_DISKS = []


def only(measure: RuleMeasure, **fields: float) -> None:
    AlertRule.objects.exclude(measure=measure).update(is_enabled=False)
    for severity, threshold in fields.items():
        AlertRule.objects.filter(measure=measure, severity=severity).update(threshold=threshold)


def make_jobs(count: int, **fields: object) -> None:
    given = {"queue": Queue.REPORTS, "kind": "reports.build", "args": {}, **fields}
    Job.objects.bulk_create(Job(**given) for _ in range(count))


def span(outcome: str, ended: int, *, bucket: int = 10, name: str = "order-list") -> None:
    OriginSpan.objects.create(
        since=timezone.now() - timedelta(minutes=2),
        kind="route",
        name=name,
        method="GET",
        outcome=outcome,
        ended=ended,
        microseconds=1000 * ended,
        statements=ended,
        database_microseconds=ended,
        buckets={str(bucket): ended},
    )


def test_every_measure_has_a_warning_and_a_graver_rule():
    assert set(measures.MEASURES) == set(RuleMeasure)
    for measure in RuleMeasure:
        found = dict(AlertRule.objects.filter(measure=measure).values_list("severity", "threshold"))
        assert set(found) == {"warning", "critical"}
        assert found["warning"] < found["critical"]


def test_rules_that_are_missing_are_added_and_what_staff_set_stays():
    AlertRule.objects.filter(measure="blocked").delete()
    AlertRule.objects.filter(measure="jobs_dead", severity="warning").update(threshold=7)
    assert rules.add_missing() == 2
    assert rules.add_missing() == 0
    assert AlertRule.objects.get(measure="jobs_dead", severity="warning").threshold == 7


def test_before_any_rule_is_stored_a_dry_run_holds_all_against_the_codes_thresholds():
    AlertRule.objects.all().delete()
    make_jobs(1, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    code, said = run("--dry-run")
    assert code == 1
    assert f"{len(RuleMeasure)} measures read, 1 alerts" in said
    assert not AlertRule.objects.exists()


def test_every_measure_can_be_read_on_an_idle_site():
    for measure in RuleMeasure:
        assert isinstance(read(measure, Sight()), list)
    assert rules.check()
    assert not AlertRule.objects.exclude(last_error="").exists()
    assert not AlertRule.objects.filter(checked_at=None).exists()


def test_what_is_costly_is_read_by_the_hour_and_the_rest_each_time():
    measured = {finding.measure for finding in rules.check()}
    assert measured == set(RuleMeasure)
    assert {finding.measure for finding in rules.check()} == measured - set(rules.SELDOM)
    AlertRule.objects.update(checked_at=timezone.now() - timedelta(minutes=61))
    assert {finding.measure for finding in rules.check()} == measured
    assert {finding.measure for finding in rules.look()} == measured


@committed
def test_failed_requests_are_a_share_and_name_the_worst_route():
    span("2xx", 96)
    span("5xx", 3)
    span("5xx", 1, name="order-detail")
    [reading] = read(RuleMeasure.REQUESTS_FAILED, Sight())
    assert reading.value == pytest.approx(4.0)
    assert "4 of 100 requests failed" in reading.says
    assert "most at GET order-list (3)" in reading.says


@committed
def test_of_few_requests_a_share_says_nothing():
    span("5xx", measures.FEW_REQUESTS - 1)
    assert read(RuleMeasure.REQUESTS_FAILED, Sight()) == []
    assert read(RuleMeasure.REQUEST_P95, Sight()) == []


@committed
def test_latency_is_that_of_all_requests_together():
    span("2xx", 90, bucket=100)  # 1.1^100 us = 13.8 ms
    span("2xx", 10, bucket=150, name="order-detail")  # 1.1^150 us = 1,617 ms
    [reading] = read(RuleMeasure.REQUEST_P95, Sight())
    assert reading.value == pytest.approx(1617, rel=0.06)


def test_queues_are_read_each_for_itself():
    make_jobs(7, run_after=timezone.now() - timedelta(minutes=10))
    waiting = {r.entity_id: r for r in read(RuleMeasure.QUEUE_WAITING, Sight())}
    ours = waiting[QUEUES[Queue.REPORTS].number]
    assert (ours.value, ours.entity_type, ours.says) == (7, "queue", "Reports: 7 jobs wait")
    assert sum(each.value for each in waiting.values()) == 7
    oldest = read(RuleMeasure.QUEUE_OLDEST, Sight())[0]
    assert oldest.entity_id == ours.entity_id
    assert oldest.value == pytest.approx(600, abs=30)


def test_dead_jobs_raise_an_alert_of_their_queue_that_counts_on():
    only(RuleMeasure.JOBS_DEAD)
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    rules.check()
    rules.check()
    alert = Alert.objects.get()
    assert alert.code == "rule.jobs_dead"
    assert (alert.entity_type, alert.entity_id) == ("queue", QUEUES[Queue.REPORTS].number)
    assert (alert.severity, alert.occurrences) == ("warning", 2)
    assert alert.message == "Dead jobs: Reports: 2 jobs are dead"
    assert alert.details == {"value": 2, "threshold": 1}


def test_the_gravest_rule_that_is_broken_says_how_grave_it_is():
    only(RuleMeasure.JOBS_DEAD, warning=1, critical=2)
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    rules.check()
    assert Alert.objects.get().severity == "critical"


@pytest.mark.parametrize(("threshold", "alerts"), [(3, 0), (2, 1)])
def test_a_threshold_is_reached_not_passed(threshold, alerts):
    only(RuleMeasure.JOBS_DEAD, warning=threshold)
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    rules.check()
    assert Alert.objects.count() == alerts


def test_a_rule_that_is_off_raises_nothing():
    AlertRule.objects.update(is_enabled=False)
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    assert rules.check() == []
    assert not Alert.objects.exists()


@committed
def test_who_waits_for_a_lock_is_told_with_the_root():
    with chain("root", "waiter") as links:
        [reading] = read(RuleMeasure.BLOCKED, Sight())
        assert reading.value >= 0
        assert f"session {links[1].pid} has waited" in reading.says
        assert f"at the root is {links[0].pid} (root)" in reading.says


@committed
def test_who_waits_in_another_database_is_none_of_ours():
    params = connection.get_connection_params() | {"dbname": "postgres"}
    with psycopg.connect(**params) as holder, psycopg.connect(**params) as waiter:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [os.getpid()])
        waiter.execute("SET LOCAL lock_timeout = 0")
        waiter.pgconn.send_query(b"SELECT pg_advisory_xact_lock(%d)" % os.getpid())
        wait_for(lambda: state_of(waiter.info.backend_pid) == ("active", "Lock"))
        assert read(RuleMeasure.BLOCKED, Sight()) == []
        waiter.close()


def test_connections_are_counted_against_the_room_there_is():
    [reading] = read(RuleMeasure.CONNECTIONS_USED, Sight())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
        (now,) = cursor.fetchone()
    used = int(reading.says.split()[0])
    assert 1 <= used <= now + 20
    assert 0 < reading.value < 100


def test_a_disk_is_read_by_its_directory_and_one_that_is_gone_is_said_to_be(settings, tmp_path):
    only(RuleMeasure.DISK_USED, warning=0, critical=100.5)
    settings.WATCHED_DISKS = [str(tmp_path)]
    rules.check()
    alert = Alert.objects.get()
    assert (alert.entity_type, alert.entity_id) == ("disk", 1)
    assert str(tmp_path) in alert.message
    settings.WATCHED_DISKS = [str(tmp_path / "gone")]
    rules.check()
    assert "gone" in AlertRule.objects.get(measure="disk_used", severity="warning").last_error


def test_what_one_measure_cannot_read_hides_no_other(settings, tmp_path):
    settings.WATCHED_DISKS = [str(tmp_path / "gone")]
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    rules.check()
    assert Alert.objects.filter(code="rule.jobs_dead").exists()
    unread = AlertRule.objects.exclude(last_error="")
    assert {rule.measure for rule in unread} == {"disk_used"}


def test_what_the_database_refuses_to_one_measure_hides_no_other(settings, tmp_path):
    settings.WATCHED_DISKS = [str(tmp_path)]
    AlertRule.objects.filter(measure="disk_used", severity="warning").update(threshold=0)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE queue_settings CASCADE")
    rules.check()
    assert Alert.objects.filter(code="rule.disk_used").exists()
    unread = set(AlertRule.objects.exclude(last_error="").values_list("measure", flat=True))
    assert unread == {"jobs_failed", "queue_waiting", "queue_oldest", "jobs_dead"}


def test_a_rule_that_was_changed_is_held_against_at_once():
    rules.check()
    rule = AlertRule.objects.get(measure="statement_slower", severity="warning")
    given = {"threshold": 3, "cool_down_minutes": 60, "is_enabled": True, "reason": "x"}
    rules.change(rule_id=rule.pk, actor=make_actor(), **given)
    assert RuleMeasure.STATEMENT_SLOWER in {finding.measure for finding in rules.check()}


@pytest.mark.parametrize(
    "fields",
    [
        {"measure": "mood"},
        {"threshold": -1},
        {"cool_down_minutes": 0},
        {"cool_down_minutes": 10_081},
        {"severity": "critical"},  # is there already
    ],
)
def test_the_table_refuses_a_rule_that_makes_no_sense(fields):
    rule = AlertRule.objects.filter(measure="jobs_dead", severity="warning")
    with pytest.raises(IntegrityError), transaction.atomic():
        rule.update(**fields)


def test_a_threshold_is_changed_with_a_reason_and_audited():
    officer = make_actor()
    rule = AlertRule.objects.get(measure="jobs_dead", severity="warning")
    rules.change(
        rule_id=rule.pk,
        threshold=5,
        cool_down_minutes=30,
        is_enabled=True,
        reason="two are normal",
        actor=officer,
    )
    rule.refresh_from_db()
    assert (rule.threshold, rule.cool_down_minutes) == (5, 30)
    assert rule.changed_by_id == officer.user_id
    line = AuditLog.objects.get(action="alert_rule.changed")
    assert (line.entity_id, line.reason) == (rule.pk, "two are normal")
    assert line.new_values["old"]["threshold"] == 1


@committed
def test_of_two_changes_at_once_the_second_knows_what_the_first_has_set():
    officer = make_actor()
    rule = AlertRule.objects.get(measure="jobs_dead", severity="warning")
    given = {"cool_down_minutes": 60, "is_enabled": True, "reason": "x", "actor": officer}

    def second() -> None:
        rules.change(rule_id=rule.pk, threshold=9, **given)
        connections.close_all()

    thread = threading.Thread(target=second)
    with transaction.atomic():
        rules.change(rule_id=rule.pk, threshold=5, **given)
        thread.start()
        wait_for(_somebody_waits)
    thread.join()
    lines = AuditLog.objects.filter(action="alert_rule.changed").order_by("pk")
    assert [line.new_values["old"]["threshold"] for line in lines] == [1, 5]


def _somebody_waits() -> bool:
    """Whether a session waits for this one: pg_stat_activity would show the same all transaction long."""
    [(waiting,)] = sql.fetch(
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    return bool(waiting)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"threshold": -1}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"cool_down_minutes": 0}, "cool_down_minutes"),
        ({"cool_down_minutes": 10_081}, "cool_down_minutes"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields, field):
    given = {"threshold": 1, "cool_down_minutes": 60, "is_enabled": True, "reason": "x"}
    rule = AlertRule.objects.first()
    with pytest.raises(Invalid) as caught:
        rules.change(rule_id=rule.pk, actor=make_actor(), **{**given, **fields})
    assert list(caught.value.errors) == [field]


def test_rules_are_for_staff():
    given = {"threshold": 1, "cool_down_minutes": 60, "is_enabled": True, "reason": "x"}
    with pytest.raises(Forbidden):
        rules.change(rule_id=1, actor=make_actor(Role.RETAILER), **given)
    with pytest.raises(NotFound):
        rules.change(rule_id=0, actor=SYSTEM, **given)


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("check_alerts", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_how_grave_it_is_by_its_exit_code(settings, tmp_path):
    only(RuleMeasure.JOBS_DEAD, warning=1, critical=3)
    assert run() == (0, "1 measures read, 0 alerts\n0 notices queued\n")
    make_jobs(2, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    code, said = run("--dry-run")
    assert code == 1
    assert "warning   Dead jobs: Reports: 2 jobs are dead (2, threshold 1)" in said
    assert not Alert.objects.exists()
    make_jobs(1, state=JobState.DEAD, finished_at=timezone.now(), last_error="x")
    assert run()[0] == 2
    assert Alert.objects.get().severity == "critical"
    AlertRule.objects.filter(measure="disk_used").update(is_enabled=True)
    settings.WATCHED_DISKS = [str(tmp_path / "gone")]
    assert run("--dry-run")[0] == 3
