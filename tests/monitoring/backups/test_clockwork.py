"""By the clock: the job, its alerts, and what staff see of it all."""

import logging
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from khaacho import jobs, schedules, sql
from khaacho.models import Alert, Job
from monitoring import health
from monitoring.alerting import rules
from monitoring.alerting.measures import Sight, read
from monitoring.backups import drill, encryption
from monitoring.enums import RuleMeasure
from monitoring.models import AlertRule, Backup
from tests.admin.conftest import groups, member, signed_in  # noqa: F401 - fixtures
from tests.monitoring.backups.making import directory, file_of, make, names

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def work(kind: str) -> Job:
    with transaction.atomic():
        job_id = jobs.enqueue(kind)
    jobs.run(job_id)
    return Job.objects.get(pk=job_id)


def test_they_are_scheduled_in_kathmandu():
    for name, said in (
        ("nightly backup", "crontab 0 2 * * * Asia/Kathmandu"),
        ("restore drill", "crontab 30 4 * * 0 Asia/Kathmandu"),
    ):
        assert schedules._text(schedules._timing(name)) == said
    limits = {kind.name: kind.hard_limit for kind in jobs.registered()}
    assert limits["monitoring.back_up"] == limits["monitoring.drill_backup"] == 4 * 3600


def test_without_a_directory_the_jobs_say_so_and_do_nothing(settings, caplog):
    settings.BACKUP_DIR = ""
    with caplog.at_level(logging.WARNING):
        assert work("monitoring.back_up").state == "done"
        assert work("monitoring.drill_backup").state == "done"
    said = [(r.message, r.skipped) for r in caplog.records if r.message.startswith("backup.")]
    assert said == [("backup.not_configured", "backup"), ("backup.not_configured", "drill")]
    assert Backup.objects.count() == 0
    assert read(RuleMeasure.BACKUP_AGE, Sight()) == []


def test_the_jobs_make_and_prove(site):
    made = work("monitoring.back_up")
    assert (made.state, made.progress) == ("done", 100)
    assert work("monitoring.drill_backup").state == "done"
    row = Backup.objects.get()
    assert (row.state, row.drill_result) == ("done", "passed")
    assert len(names()) == 2


def test_a_drill_that_fails_is_a_critical_alert(site):
    made = make()
    file_of(made).write_bytes(file_of(made).read_bytes()[:-1] + b"\0")
    assert work("monitoring.drill_backup").state == "queued"  # tried again
    alert = Alert.objects.get(code="backup.drill_failed")
    assert (alert.severity, "SHA-256" in alert.message) == ("critical", True)


@pytest.fixture
def _a_day_and_six_hours_old():
    """Let backups have been possible for 30 hours; the row is put back."""
    where = " WHERE app = 'monitoring' AND name LIKE '0017%%'"
    [(before,)] = sql.fetch(f"SELECT applied FROM django_migrations{where}")
    sql.execute(f"UPDATE django_migrations SET applied = now() - interval '30 hours'{where}")
    yield
    sql.execute(f"UPDATE django_migrations SET applied = %s{where}", [before])


@pytest.mark.usefixtures("_a_day_and_six_hours_old")
def test_ages_are_measured_from_when_there_could_have_been_one(site):
    [reading] = read(RuleMeasure.BACKUP_AGE, Sight())
    assert reading.value == pytest.approx(30, abs=0.01)
    assert "no backup was made yet" in reading.says
    make()
    [reading] = read(RuleMeasure.BACKUP_AGE, Sight())
    assert reading.value == pytest.approx(0, abs=0.01)
    [reading] = read(RuleMeasure.DRILL_AGE, Sight())
    assert reading.value == pytest.approx(1.25, abs=0.01)
    drill.run(directory(), encryption.keys())
    [reading] = read(RuleMeasure.DRILL_AGE, Sight())
    assert reading.value == pytest.approx(0, abs=0.01)


def test_an_old_backup_and_an_old_drill_are_alerts(site, settings):
    settings.WATCHED_DISKS = []
    make()
    moment = timezone.now()
    Backup.objects.update(
        snapshot_at=moment - timedelta(hours=27), verified_at=moment - timedelta(days=17)
    )
    rules.add_missing()
    AlertRule.objects.exclude(measure__in=["backup_age", "drill_age"]).update(is_enabled=False)
    rules.check()
    found = Alert.objects.order_by("code").values_list("code", "severity")
    assert list(found) == [("rule.backup_age", "warning"), ("rule.drill_age", "critical")]
    assert (
        "the last backup was made 27.0 h ago" in Alert.objects.get(code="rule.backup_age").message
    )


def checks() -> dict[str, tuple[float | None, str]]:
    return {c["name"]: (c["value"], c["status"]) for c in health.details()["checks"]}


def test_health_knows_both_ages(site):
    assert checks()["last_backup"] == checks()["last_drill"] == (None, "warning")
    make()
    Backup.objects.update(verified_at=timezone.now() - timedelta(days=10))
    value, status = checks()["last_backup"]
    assert (value, status) == (pytest.approx(0, abs=0.01), "ok")
    value, status = checks()["last_drill"]
    assert (value, status) == (pytest.approx(10, abs=0.01), "warning")


@pytest.fixture
def keeper(member) -> Client:  # noqa: F811 - the fixture
    return signed_in(member("Database"))


def test_staff_see_sizes_ages_and_drills(site, keeper):
    made = make()
    drill.run(directory(), encryption.keys())
    Backup.objects.create(
        name="khaacho_backup_2026-01-01_02-00-00",
        state="failed",
        finished_at=timezone.now(),
        error="The disk of /x is full.",
    )
    page = keeper.get("/admin/database/backups/")
    assert page.status_code == 200
    text = page.content.decode()
    for said in (made.name, "in time", "Passed", "The disk of /x is full.", "<svg"):
        assert said in text
    assert text.count('<span class="badge bad">') == 1
    row = keeper.get(f"/admin/monitoring/backup/{Backup.objects.get(name=made.name).pk}/change/")
    assert made.sha256 in row.content.decode()
    assert keeper.post("/admin/monitoring/backup/add/").status_code == 403


def test_a_site_without_backups_is_told_so(settings, keeper):
    settings.BACKUP_DIR = ""
    text = keeper.get("/admin/database/backups/").content.decode()
    assert "BACKUP_DIR is not set" in text
    assert "There is no backup yet" in text
    assert text.count("none yet") >= 2
