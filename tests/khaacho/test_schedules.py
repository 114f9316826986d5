"""Beat inserts the slot's job, once however many beats tick; operators' edits hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import schedule
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import (
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)
from django_celery_beat.tzcrontab import TzAwareCrontab

from khaacho import jobs, schedules
from khaacho.beat import Scheduler
from khaacho.celery import app
from khaacho.models import Job
from khaacho.schedules import Standing
from tests.khaacho.kinds import effects
from tests.races import race

KATHMANDU = ZoneInfo("Asia/Kathmandu")


def npt(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=KATHMANDU)


def cron(**fields: str) -> TzAwareCrontab:
    return TzAwareCrontab(**fields, tz=KATHMANDU)


DAILY = cron(hour="2", minute="0")
SUNDAY = cron(hour="4", minute="30", day_of_week="0")
MONTHLY = cron(hour="5", minute="0", day_of_month="1")
LEAP = cron(hour="0", minute="0", day_of_month="29", month_of_year="2")


@pytest.mark.parametrize(
    ("timing", "now", "slot"),
    [
        (schedule(timedelta(minutes=5)), npt(2026, 7, 1, 10, 4, 59), npt(2026, 7, 1, 10)),
        (schedule(timedelta(minutes=5)), npt(2026, 7, 1, 10, 5), npt(2026, 7, 1, 10, 5)),
        (schedule(timedelta(hours=1)), npt(2026, 7, 1, 10, 59), npt(2026, 7, 1, 10)),
        (schedule(timedelta(days=7)), npt(2026, 7, 1, 10), npt(2026, 6, 29)),
        (DAILY, npt(2026, 7, 1, 2, 0), npt(2026, 7, 1, 2)),
        (DAILY, npt(2026, 7, 1, 1, 59, 45), npt(2026, 7, 1, 2)),  # beat's clock is ahead
        (DAILY, npt(2026, 7, 1, 1, 59, 15), npt(2026, 6, 30, 2)),
        (DAILY, npt(2026, 7, 1, 23), npt(2026, 7, 1, 2)),  # late is the same slot
        (DAILY, datetime(2026, 7, 1, 20, 20, tzinfo=UTC), npt(2026, 7, 2, 2)),
        (SUNDAY, npt(2026, 7, 4, 12), npt(2026, 6, 28, 4, 30)),
        (MONTHLY, npt(2026, 7, 1, 4, 59), npt(2026, 6, 1, 5)),
        (MONTHLY, npt(2026, 7, 1, 5, 1), npt(2026, 7, 1, 5)),
        (LEAP, npt(2027, 7, 1), npt(2024, 2, 29)),
        (cron(hour="*/6", minute="15,45"), npt(2026, 7, 1, 12, 44), npt(2026, 7, 1, 12, 15)),
    ],
)
def test_slot_is_the_last_occurrence(timing, now, slot):
    assert schedules.latest_slot(timing, now) == slot


@pytest.mark.parametrize("timing", [schedule(timedelta(0)), object()])
def test_refuses_what_has_no_slots(timing):
    with pytest.raises(ValueError, match="neither an interval"):
        schedules.latest_slot(timing, npt(2026, 7, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"name": "x" * 81, "kind": "test.note"},
        {"name": "x", "kind": "test.note", "every": timedelta(milliseconds=500)},
        {"name": "x", "kind": "test.note", "every": timedelta(seconds=1.5)},
        {"name": "other name", "kind": "test.note_request"},
        {"name": "every second", "kind": "test.note"},
    ],
)
def test_refuses_schedules_that_could_not_work(options):
    with pytest.raises(ValueError, match="schedule"):
        schedules.register(**options)


@pytest.mark.django_db(transaction=True)
def test_two_ticks_of_a_slot_make_one_job_also_when_it_is_done():
    schedules.create("every sunday")
    assert schedules.tick("every sunday") is True
    assert schedules.tick("every sunday") is False
    Job.objects.update(state="done")
    assert schedules.tick("every sunday") is False
    assert list(Job.objects.values_list("kind", "reference")) == [("test.die", "every sunday")]


@pytest.mark.django_db(transaction=True)
def test_ticks_at_once_make_one_job():
    assert race(*[lambda: schedules.tick("every month")] * 6) == {"ok": 6}
    assert Job.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.django_db
@pytest.mark.parametrize(("back", "slots"), [(1, [1, 0]), (2, [2, 1, 0]), (3, [3, 0])])
def test_a_slot_that_beats_stepped_over_comes_with_the_next(back: int, slots: list[int]):
    """Beats drift: of a schedule of seconds one is stepped over now and then. More than one is a downtime."""
    hour = timedelta(hours=1)
    schedules.register("hourly", "test.note", every=hour)
    assert schedules.tick("hourly")
    first = Job.objects.get()
    Job.objects.update(slot=first.slot - back * hour)
    assert schedules.tick("hourly")
    found = list(Job.objects.order_by("slot").values_list("slot", flat=True))
    assert found == [first.slot - n * hour for n in slots]


def test_tick_of_an_unknown_schedule_is_an_error():
    with pytest.raises(KeyError):
        schedules.tick("never heard of")


@pytest.mark.django_db
def test_slot_follows_the_operators_edit():
    schedules.create("every sunday")
    row = PeriodicTask.objects.get(name="every sunday")
    row.crontab = CrontabSchedule.objects.create(minute="*", timezone=KATHMANDU)
    row.save()
    schedules.tick("every sunday")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT slot BETWEEN now() - interval '61 s' AND now() + interval '31 s' FROM jobs"
        )
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db
def test_sync_creates_what_is_missing_and_leaves_the_rest_alone(capsys):
    call_command("sync_schedules", "--dry-run")
    assert not PeriodicTask.objects.exists()
    call_command("sync_schedules")
    created = set(PeriodicTask.objects.values_list("name", flat=True))
    assert {schedules.SWEEP, "every second", "every sunday", "every month"} <= created
    sunday = PeriodicTask.objects.get(name="every sunday")
    assert (sunday.task, sunday.args) == ("khaacho.tick", '["every sunday"]')
    assert (sunday.crontab.minute, sunday.crontab.hour, sunday.crontab.day_of_week) == (
        "30",
        "4",
        "0",
    )
    assert (sunday.crontab.day_of_month, str(sunday.crontab.timezone)) == ("*", "Asia/Kathmandu")
    PeriodicTask.objects.filter(name="every sunday").update(enabled=False, crontab=None)
    PeriodicTask.objects.filter(name="every second").delete()
    capsys.readouterr()
    call_command("sync_schedules")
    assert capsys.readouterr().out == "created every second\nkept as edited every sunday\n"
    sunday.refresh_from_db()
    assert (sunday.enabled, sunday.crontab) == (False, None)


@pytest.mark.django_db
def test_sync_does_not_take_an_operators_crontab_for_its_own():
    theirs = CrontabSchedule.objects.create(minute="30", hour="4", timezone=KATHMANDU)
    schedules.create("every sunday")
    assert PeriodicTask.objects.get(name="every sunday").crontab != theirs


@pytest.mark.django_db
def test_sync_shares_intervals_and_survives_doubles():
    for _ in range(2):
        IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    assert schedules.create("every second") is True
    assert schedules.create("every second") is False
    assert IntervalSchedule.objects.count() == 2


@pytest.mark.django_db
def test_sync_names_rows_whose_schedule_is_gone(capsys, monkeypatch):
    schedules.create("every second")
    monkeypatch.delitem(schedules._schedules, "every second")
    call_command("sync_schedules")
    assert "no longer in the code, delete it in the admin: every second" in capsys.readouterr().out


def make_scheduler() -> Scheduler:
    app.loader.import_default_modules()  # as beat does when it starts
    return Scheduler(app=app, lazy=True)


@pytest.mark.django_db(transaction=True)
def test_beat_catches_up_a_slot_missed_long_ago_once():
    schedules.create("every month")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    PeriodicTask.objects.update(last_run_at=long_ago, date_changed=long_ago)
    beat = make_scheduler()
    for _ in range(5):
        beat.tick()
    assert Job.objects.count() == 1
    assert PeriodicTask.objects.get().last_run_at > long_ago


@pytest.mark.django_db(transaction=True)
def test_beat_tries_again_what_the_database_could_not_do():
    schedules.create("every month")
    PeriodicTask.objects.update(last_run_at=datetime(2020, 1, 1, tzinfo=UTC))
    beat = make_scheduler()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'starting up' USING ERRCODE = '57P03'; END $$;"
            "CREATE TRIGGER away BEFORE INSERT ON jobs EXECUTE FUNCTION away()"
        )
    connection.close_at = 0  # of an age to be closed by beat: nothing of it may be held meanwhile
    try:
        beat.tick()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION away CASCADE")
    assert not Job.objects.exists()
    for _ in range(3):
        beat.tick()
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_beat_leaves_an_operators_edit_alone():
    schedules.create("every month")
    PeriodicTask.objects.update(last_run_at=datetime(2020, 1, 1, tzinfo=UTC))
    beat = make_scheduler()
    assert beat.schedule
    PeriodicTask.objects.update(description="edited meanwhile")
    beat.tick()
    row = PeriodicTask.objects.get()
    assert (row.description, row.total_run_count) == ("edited meanwhile", 1)


@pytest.mark.django_db(transaction=True)
def test_slots_job_does_its_work():
    schedules.tick("every second")
    job = Job.objects.get()
    assert jobs.run_due() == 2
    assert effects() == [f"job-{job.pk}", "child"]


def minutes_late(minutes: float) -> TzAwareCrontab:
    """Return a daily timing whose last occurrence was so many minutes ago, by PostgreSQL's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now() - make_interval(mins => %s)", [minutes])
        moment = cursor.fetchone()[0].astimezone(KATHMANDU)
    return cron(hour=str(moment.hour), minute=str(moment.minute))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("catch_up", "minutes", "runs"),
    [(None, 600, True), (timedelta(hours=2), 30, True), (timedelta(hours=2), 180, False)],
)
def test_a_missed_slot_is_caught_up_where_that_makes_sense(catch_up, minutes, runs, caplog):
    late = minutes_late(minutes)
    at = (int(late._orig_hour), int(late._orig_minute))
    schedules.register("reminders", "test.note", at=at, catch_up=catch_up)
    assert schedules.tick("reminders") is runs
    assert Job.objects.count() == runs
    assert [r.message for r in caplog.records] == ([] if runs else ["schedule.skipped"])


def test_an_interval_that_beat_might_always_miss_is_refused():
    every = timedelta(minutes=5)
    with pytest.raises(ValueError, match="would always skip it"):
        schedules.register("notes", "test.note", every=every, catch_up=timedelta(minutes=4))
    schedules.register("notes", "test.note", every=every, catch_up=every)


@pytest.mark.django_db
def test_a_skipped_slot_does_not_hold_up_the_next(monkeypatch):
    late = minutes_late(180)
    at = (int(late._orig_hour), int(late._orig_minute))
    schedules.register("reminders", "test.note", at=at, catch_up=timedelta(hours=2))
    schedules.create("reminders")
    assert schedules.tick("reminders") is False
    row = PeriodicTask.objects.get(name="reminders")
    row.crontab = CrontabSchedule.from_schedule(minutes_late(1))
    row.crontab.save()
    row.save()
    assert schedules.tick("reminders") is True


@pytest.mark.django_db(transaction=True)
def test_beats_that_were_away_for_an_hour_run_each_slot_once():
    schedules.register("each minute", "test.note", every=timedelta(minutes=1))
    schedules.register("each day", "test.call_network", at=(4, 0))
    for name in ("each minute", "each day"):
        schedules.create(name)
    hour_ago = datetime.now(UTC) - timedelta(hours=25)
    PeriodicTask.objects.update(last_run_at=hour_ago, date_changed=hour_ago)
    beats = [make_scheduler(), make_scheduler()]
    for _ in range(4):
        for beat in beats:
            beat.tick()
    slots = list(Job.objects.order_by("kind", "slot").values_list("kind", "slot"))
    assert len(slots) == len(set(slots))
    assert [kind for kind, _ in slots].count("test.call_network") == 1
    assert 1 <= [kind for kind, _ in slots].count("test.note") <= 2  # the minute may turn


def change_in_code(monkeypatch, name: str, **changes: object) -> None:
    monkeypatch.setitem(schedules._schedules, name, replace(schedules._schedules[name], **changes))


@pytest.mark.django_db
def test_sync_brings_what_the_code_changed_and_keeps_what_an_operator_did(capsys, monkeypatch):
    for name in ("every sunday", "every month", "every second"):
        schedules.create(name)
    PeriodicTask.objects.filter(name="every sunday").update(enabled=False)
    month = PeriodicTask.objects.get(name="every month")
    month.crontab = CrontabSchedule.objects.create(minute="7", hour="7", timezone=KATHMANDU)
    month.save()
    change_in_code(monkeypatch, "every sunday", at=(5, 45))
    change_in_code(monkeypatch, "every month", at=(6, 0))
    change_in_code(monkeypatch, "every second", at=(1, 15))
    capsys.readouterr()

    def lines() -> list[str]:
        return [x for x in capsys.readouterr().out.splitlines() if " every " in x]

    call_command("sync_schedules", "--dry-run")
    assert lines() == [
        "would update every second",
        "would update every sunday",
        "would keep as edited every month",
    ]
    assert PeriodicTask.objects.get(name="every sunday").crontab.hour == "4"
    changed_before = PeriodicTasks.last_change()
    call_command("sync_schedules")
    assert lines() == ["updated every second", "updated every sunday", "kept as edited every month"]
    sunday = PeriodicTask.objects.get(name="every sunday")
    assert (sunday.crontab.hour, sunday.crontab.minute, sunday.enabled) == ("5", "45", False)
    month.refresh_from_db()
    assert (month.crontab.hour, month.crontab.minute) == ("7", "7")
    second = PeriodicTask.objects.get(name="every second")
    assert (second.interval, second.crontab.hour) == (None, "1")
    assert (
        changed_before is None or PeriodicTasks.last_change() > changed_before
    )  # beat reads it anew
    call_command("sync_schedules")
    assert lines() == ["kept as edited every month"]


@pytest.mark.django_db
def test_sync_follows_the_code_again_once_an_operator_gave_its_timing_back(monkeypatch):
    schedules.create("every sunday")
    row = PeriodicTask.objects.get(name="every sunday")
    own = row.crontab
    row.crontab = CrontabSchedule.objects.create(minute="0", hour="1", timezone=KATHMANDU)
    row.save()
    assert schedules.sync("every sunday") == Standing.EDITED
    row.crontab = own
    row.save()
    change_in_code(monkeypatch, "every sunday", at=(6, 0))
    assert schedules.sync("every sunday") == Standing.OUTDATED
    row.refresh_from_db()
    assert row.crontab.hour == "6"


@pytest.mark.django_db
@pytest.mark.parametrize("headers", ["{}", "not json", "[]", ""])
def test_sync_takes_a_row_whose_note_is_lost_for_edited_unless_it_says_the_same(
    headers, monkeypatch
):
    schedules.create("every sunday")
    PeriodicTask.objects.update(headers=headers)
    assert schedules.sync("every sunday") == Standing.CURRENT
    assert "written" in PeriodicTask.objects.get().headers
    PeriodicTask.objects.update(headers=headers)
    change_in_code(monkeypatch, "every sunday", at=(6, 0))
    assert schedules.sync("every sunday") == Standing.EDITED
    assert PeriodicTask.objects.get().crontab.hour == "4"


@pytest.mark.django_db(transaction=True)
def test_syncs_at_once_make_one_row():
    outcomes = race(*[lambda: schedules.sync("every sunday")] * 4)
    assert outcomes == {"ok": 4}
    assert PeriodicTask.objects.filter(name="every sunday").count() == 1


@pytest.mark.django_db
def test_the_schedule_is_that_of_the_design():
    """Times of Kathmandu; the rest of the day's work is registered by its own apps' tests."""
    found = {s.kind: (s.at, s.every) for s in schedules._schedules.values()}
    day = timedelta(days=1)
    assert found["khaacho.purge"] == ((4, 0), day)
    assert found["monitoring.reconcile"] == ((3, 0), day)
    assert found["orders.mark_overdue"] == ((6, 0), day)
    assert found["orders.find_expired"] == (None, timedelta(minutes=1))
    assert found["whatsapp.recover"] == (None, timedelta(minutes=5))
    assert timedelta(seconds=5) == schedules.SWEEP_EVERY
