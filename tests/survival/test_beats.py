"""Two beats, none for an hour, and none of the database: each slot once."""

import os
import re
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from bench.chaos.beats import every_second
from khaacho import schedules
from khaacho.models import Job
from tests.processes import environment, process, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("BEAT_SECONDS", "12"))  # of two beats; make chaos does minutes
BEAT = ("-m", "celery", "-A", "khaacho", "beat", "-l", "info", "--pidfile=", "--max-interval", "1")
MINUTELY = ("vendor acceptances past their deadline", "orders.find_expired")
HOURLY = ("orders delivered three days ago", "orders.find_completable")


def slots(kind: str) -> list[float]:
    found = Job.objects.filter(kind=kind, slot__isnull=False).order_by("slot")
    return [slot.timestamp() for slot in found.values_list("slot", flat=True)]


def both_tick(logs: list[Path]) -> bool:
    return all("Sending due task" in log.read_text() for log in logs)


def both_run(logs: list[Path]) -> bool:
    return all("beat: Starting" in log.read_text() for log in logs)


def test_two_beats_tick_each_second_once_and_leave_none_out(tmp_path: Path) -> None:
    name, kind = MINUTELY
    every_second(name)
    logs = [tmp_path / "one", tmp_path / "two"]
    with process(*BEAT, log=logs[0]), process(*BEAT, log=logs[1]):
        # it is logged before the slot is written
        wait_for(lambda: both_tick(logs) and slots(kind), seconds=60, what="both beats to tick")
        begun = slots(kind)[-1]
        time.sleep(SECONDS)
    ticks = [len(re.findall(f"Sending due task {name}", log.read_text())) for log in logs]
    assert min(ticks) >= SECONDS / 2
    seen = [slot for slot in slots(kind) if slot >= begun]
    assert seen == [begun + second for second in range(len(seen))]
    assert len(seen) >= SECONDS


def test_after_an_hour_without_beats_the_last_slot_of_each_schedule_runs_once(
    tmp_path: Path,
) -> None:
    for name, _ in (MINUTELY, HOURLY):
        schedules.create(name)
    long_ago = timezone.now() - timedelta(hours=1, minutes=2)
    PeriodicTask.objects.update(last_run_at=long_ago)
    logs = [tmp_path / "one", tmp_path / "two"]
    with process(*BEAT, log=logs[0]), process(*BEAT, log=logs[1]):
        wait_for(lambda: both_run(logs), seconds=60, what="both beats")
        wait_for(lambda: slots(HOURLY[1]) and slots(MINUTELY[1]), what="the missed slots")
        time.sleep(2)
    hourly, minutely = slots(HOURLY[1]), slots(MINUTELY[1])
    now, begin = timezone.now().timestamp(), schedules.SLOTS_BEGIN.timestamp()
    assert hourly == [now - (now - begin) % 3600]
    assert all(now - slot < 120 for slot in minutely)
    assert len(minutely) == len(set(minutely)) <= 2  # a minute may end while we look


def test_beat_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    name, kind = MINUTELY
    every_second(name)
    log = tmp_path / "beat"
    url = environment()["DATABASE_URL"]
    allow = "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}".format
    with (
        psycopg.connect(url, dbname="postgres", autocommit=True) as other,
        process(*BEAT, log=log),
    ):
        ours = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        wait_for(lambda: slots(kind), seconds=60, what="beat to tick")
        try:
            other.execute(allow(ours, "false"))
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s"
                " AND pid <> ALL (%s)",
                [ours, [_our_backend()]],
            )
            wait_for(
                lambda: "beat.database_away" in log.read_text(), what="beat to miss the database"
            )
            time.sleep(2)
        finally:
            other.execute(allow(ours, "true"))
        seen = len(slots(kind))
        wait_for(lambda: len(slots(kind)) > seen, what="beat to go on")


def _our_backend() -> int:
    from khaacho import sql  # noqa: PLC0415

    row = sql.fetch_one("SELECT pg_backend_pid()")
    assert row
    return int(row[0])
