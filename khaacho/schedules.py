"""What runs by the clock. Beat only inserts the slot's job, unique per slot (times in Kathmandu)."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab, schedule
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.tzcrontab import TzAwareCrontab

from khaacho import jobs, sql

Timing = Any  # Celery's `schedule` or `crontab`, whose fields its type stubs leave out
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SLOTS_BEGIN = datetime(2001, 1, 1, tzinfo=KATHMANDU)  # a Monday
SWEEP = "sweep lost and expired jobs"
SWEEP_EVERY = timedelta(seconds=5)
CLOCK_SKEW = timedelta(seconds=30)  # by which beat's clock may be ahead of PostgreSQL's


@dataclass(frozen=True)
class Schedule:
    """A kind of job by the clock: every `every`, or at `at` (hour, minute) in Kathmandu.

    `at` is daily unless narrowed to a weekday (0 is Sunday) or to a day of the month.
    """

    name: str
    kind: str
    every: timedelta
    at: tuple[int, int] | None = None
    weekday: int | None = None
    day: int | None = None

    @property
    def timing(self) -> Timing:
        if self.at is None:
            return schedule(self.every)
        hour, minute = self.at
        return TzAwareCrontab(
            minute=str(minute),
            hour=str(hour),
            day_of_week="*" if self.weekday is None else str(self.weekday),
            day_of_month="*" if self.day is None else str(self.day),
            tz=KATHMANDU,
        )


_schedules: dict[str, Schedule] = {}


def register(
    name: str,
    kind: str,
    *,
    every: timedelta = timedelta(days=1),
    at: tuple[int, int] | None = None,
    weekday: int | None = None,
    day: int | None = None,
) -> None:
    """Make a schedule known; called from AppConfig.ready(). One schedule per kind: slots are the kind's.

    Raises ValueError for a second schedule of a kind, a name over 80 characters or a part of a second.
    """
    new = Schedule(name, kind, every, at, weekday, day)
    if any(other.kind == kind and other != new for other in _schedules.values()):
        raise ValueError(f"a second schedule of {kind}: {name}")
    if len(name) > jobs.NAME_MAX or every < timedelta(seconds=1) or every.microseconds:
        raise ValueError(f"no valid schedule: {new}")
    if _schedules.setdefault(name, new) != new:
        raise ValueError(f"two schedules are called {name}")


def tick(name: str) -> bool:
    """Insert the job of the schedule's current slot; return False when another beat already did.

    The slot follows the schedule as operators edited it. Raises KeyError for an unknown schedule.
    """
    known = _schedules[name]
    row = (
        PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked")
        .filter(name=name)
        .first()
    )
    with transaction.atomic():
        now = sql.fetch_one("SELECT statement_timestamp()")
        assert now is not None
        slot = latest_slot(row.schedule if row else known.timing, now[0])
        return jobs.enqueue(known.kind, reference=name, slot=slot) is not None


def latest_slot(timing: Timing, now: datetime) -> datetime:
    """Return the moment of the schedule's last occurrence up to `now`: what beats agree upon.

    Raises ValueError for a schedule that is neither an interval nor a crontab, or never occurs.
    """
    if isinstance(timing, crontab):
        return _latest_crontab(timing, now + CLOCK_SKEW)
    every: timedelta | None = getattr(timing, "run_every", None)
    if every:
        return now - (now - SLOTS_BEGIN) % every
    raise ValueError(f"neither an interval nor a crontab: {timing}")


def _latest_crontab(timing: Timing, now: datetime) -> datetime:
    local = now.astimezone(timing.tz or KATHMANDU)
    for back in range(4 * 366 + 1):
        day = local.date() - timedelta(days=back)
        if (
            day.isoweekday() % 7 in timing.day_of_week
            and day.day in timing.day_of_month
            and day.month in timing.month_of_year
        ):
            moments = (time(hour, minute) for hour in timing.hour for minute in timing.minute)
            past = [moment for moment in moments if back or moment <= local.time()]
            if past:
                return datetime.combine(day, max(past), local.tzinfo)
    raise ValueError(f"never occurs: {timing}")


def missing() -> list[str]:
    """Names of schedules that have no row of django-celery-beat yet."""
    present = set(PeriodicTask.objects.values_list("name", flat=True))
    return [name for name in [SWEEP, *_schedules] if name not in present]


def obsolete() -> list[str]:
    """Names of rows of ours whose schedule is gone from the code: beat can only log them."""
    rows = PeriodicTask.objects.filter(task="khaacho.tick").order_by("name")
    return [name for name in rows.values_list("name", flat=True) if name not in _schedules]


def create(name: str) -> bool:
    """Create the schedule's row unless it exists; operators may edit or disable it in the admin."""
    fields: dict[str, Any] = {"task": "khaacho.sweep"}
    timing: Timing = schedule(SWEEP_EVERY)
    if name != SWEEP:
        fields = {"task": "khaacho.tick", "args": f'["{name}"]'}
        timing = _schedules[name].timing
    model, field = (
        (CrontabSchedule, "crontab")
        if isinstance(timing, crontab)
        else (IntervalSchedule, "interval")
    )
    with transaction.atomic():
        fields[field] = model.from_schedule(timing)
        fields[field].save()
        created: bool = PeriodicTask.objects.get_or_create(name=name, defaults=fields)[1]
    return created
