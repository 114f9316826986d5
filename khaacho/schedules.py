"""What runs by the clock. Beat only inserts the slot's job, unique per slot (times in Kathmandu)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from khaacho import jobs


@dataclass(frozen=True)
class Schedule:
    """A kind of job by the clock: every `every`, or daily at `at` (hour, minute) in Kathmandu."""

    name: str
    kind: str
    every: timedelta
    at: tuple[int, int] | None = None


_schedules: dict[str, Schedule] = {}
SWEEP = "sweep lost and expired jobs"
SWEEP_SECONDS = 5


def register(
    name: str, kind: str, *, every: timedelta = timedelta(days=1), at: tuple[int, int] | None = None
) -> None:
    """Make a schedule known; called from AppConfig.ready()."""
    _schedules[name] = Schedule(name, kind, every, at)


def tick(name: str) -> bool:
    """Insert the job of the schedule's current slot; return False when another beat already did."""
    schedule = _schedules[name]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_bin(%s, now(), timestamptz '2001-01-01 00:00 Asia/Kathmandu')",
            [schedule.every],
        )
        slot = cursor.fetchone()[0]
        return jobs.enqueue(schedule.kind, reference=name, slot=slot) is not None


def missing() -> list[str]:
    """Names of schedules that have no row of django-celery-beat yet."""
    present = set(PeriodicTask.objects.values_list("name", flat=True))
    return [name for name in [SWEEP, *_schedules] if name not in present]


def create(name: str) -> None:
    """Create the schedule's row; operators may edit or disable it in the admin afterwards."""
    if name == SWEEP:
        every = _interval(timedelta(seconds=SWEEP_SECONDS))
        PeriodicTask.objects.create(name=name, task="khaacho.sweep", interval=every)
        return
    schedule = _schedules[name]
    fields: dict[str, Any] = {"task": "khaacho.tick", "args": f'["{name}"]'}
    if schedule.at:
        hour, minute = schedule.at
        fields["crontab"], _ = CrontabSchedule.objects.get_or_create(
            hour=str(hour), minute=str(minute), timezone="Asia/Kathmandu"
        )
    else:
        fields["interval"] = _interval(schedule.every)
    PeriodicTask.objects.create(name=name, **fields)


def _interval(every: timedelta) -> IntervalSchedule:
    interval, _ = IntervalSchedule.objects.get_or_create(
        every=int(every.total_seconds()), period=IntervalSchedule.SECONDS
    )
    return interval
