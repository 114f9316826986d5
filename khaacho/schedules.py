"""What runs by the clock. Beat only inserts the slot's job, unique per slot (times in Kathmandu)."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import crontab, schedule
from django.db import transaction
from django.db.models import QuerySet
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.tzcrontab import TzAwareCrontab

from khaacho import jobs, sql
from khaacho.jobs import nodes

log = logging.getLogger(__name__)

Timing = Any  # Celery's `schedule` or `crontab`, whose fields its type stubs leave out
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SLOTS_BEGIN = datetime(2001, 1, 1, tzinfo=KATHMANDU)  # a Monday
SWEEP = "sweep lost and expired jobs"
SWEEP_EVERY = timedelta(seconds=5)
SYNC_LOCK = 0x6B686162
CLOCK_SKEW = timedelta(seconds=30)  # by which beat's clock may be ahead of PostgreSQL's


@dataclass(frozen=True)
class Schedule:
    """A kind of job by the clock: every `every`, or at `at` (hour, minute) in Kathmandu.

    `at` is daily unless narrowed to a weekday (0 is Sunday) or to a day of the month. A slot that was
    missed is run late, however late; with `catch_up` only until so long after its moment.
    """

    name: str
    kind: str
    every: timedelta
    at: tuple[int, int] | None = None
    weekday: int | None = None
    day: int | None = None
    catch_up: timedelta | None = None

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
    catch_up: timedelta | None = None,
) -> None:
    """Make a schedule known; called from AppConfig.ready(). One schedule per kind: slots are the kind's.

    After a downtime the last slot that was missed is run. Where late work would be wrong, `catch_up`
    is by how much it may be late: a slot older than that is skipped. Of an interval it is at least the
    interval, since beat ticks anywhere within a slot.
    Raises ValueError for a second schedule of a kind, a name over 80 characters, a part of a second, or
    a `catch_up` shorter than the interval.
    """
    new = Schedule(name, kind, every, at, weekday, day, catch_up)
    if any(other.kind == kind and other != new for other in _schedules.values()):
        raise ValueError(f"a second schedule of {kind}: {name}")
    if len(name) > jobs.NAME_MAX or every < timedelta(seconds=1) or every.microseconds:
        raise ValueError(f"no valid schedule: {new}")
    if at is None and catch_up is not None and catch_up < every:
        raise ValueError(f"beats that tick late in a slot would always skip it: {new}")
    if _schedules.setdefault(name, new) != new:
        raise ValueError(f"two schedules are called {name}")


def tick(name: str) -> bool:
    """Insert the job of the schedule's current slot; return False when it has one, or comes too late.

    Any number of beats may tick at any time: a slot has one job. The slot follows the schedule as
    operators edited it; a slot that the beats' drift stepped over is inserted with the next.
    Raises KeyError for an unknown schedule.
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
        slots = _due_slots(known.kind, row.schedule if row else known.timing, now[0])
        inserted = [_insert(known, slot, now[0]) for slot in slots]
        return inserted[-1]


def _due_slots(kind: str, timing: Timing, now: datetime) -> list[datetime]:
    """Return the current slot, and before it the one between it and the last that was inserted."""
    slot = latest_slot(timing, now)
    every: timedelta | None = getattr(timing, "run_every", None)
    if isinstance(timing, crontab) or not every:
        return [slot]
    last = sql.fetch_one("SELECT max(slot) FROM jobs WHERE kind = %s", [kind])
    return [slot - every, slot] if last == (slot - 2 * every,) else [slot]


def _insert(known: Schedule, slot: datetime, now: datetime) -> bool:
    if known.catch_up is not None and now - slot > known.catch_up:
        log.warning("schedule.skipped", extra={"schedule": known.name, "slot": slot})
        return False
    return jobs.enqueue(known.kind, reference=known.name, slot=slot) is not None


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


class Standing(StrEnum):
    """What a schedule's row of django-celery-beat is, compared with the code."""

    MISSING = "missing"
    OUTDATED = "outdated"  # it is what an earlier version of the code wrote
    EDITED = "edited"  # by an operator, whose timing stays
    CURRENT = "current"


# A row's headers, which beat would send with a message and ours never does, keep what the code wrote.
WRITTEN = "written"


def beat_last_tick_seconds() -> float | None:
    """Return how many seconds ago any beat last looked at the clock; None when none ever did."""
    return nodes.seconds_since(nodes.BEAT)


def standings() -> dict[str, Standing]:
    """Return how the row of each schedule stands. One query."""
    rows = {row.name: row for row in _rows().filter(name__in=_names())}
    return {name: _standing(_timing(name), rows.get(name)) for name in _names()}


def missing() -> list[str]:
    """Names of schedules that have no row of django-celery-beat yet."""
    return [name for name, standing in standings().items() if standing == Standing.MISSING]


def obsolete() -> list[str]:
    """Names of rows of ours whose schedule is gone from the code: beat can only log them."""
    rows = PeriodicTask.objects.filter(task="khaacho.tick").order_by("name")
    return [name for name in rows.values_list("name", flat=True) if name not in _schedules]


def create(name: str) -> bool:
    """Create the schedule's row unless it exists; operators may edit or disable it in the admin."""
    return sync(name) == Standing.MISSING


@transaction.atomic
def sync(name: str) -> Standing:
    """Create the schedule's row, or give it the code's timing unless an operator chose another.

    Returns how the row stood before. Whether it is enabled is the operator's alone.
    """
    sql.fetch_one("SELECT pg_advisory_xact_lock(%s)", [SYNC_LOCK])  # two deployments at once
    row = _rows().select_for_update(of=("self",)).filter(name=name).first()
    timing = _timing(name)
    standing = _standing(timing, row)
    if row is None:
        row = PeriodicTask(name=name, task="khaacho.sweep")
        if name != SWEEP:
            row.task, row.args = "khaacho.tick", json.dumps([name])
    if standing in (Standing.MISSING, Standing.OUTDATED):
        _set_timing(row, timing)
    if standing != Standing.EDITED and _written(row) != _text(timing):
        row.headers = json.dumps({WRITTEN: _text(timing)})
        row.save()
    return standing


def _rows() -> QuerySet[PeriodicTask]:
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.select_related(
        "interval", "crontab", "solar", "clocked"
    )
    return rows


def _names() -> list[str]:
    return [SWEEP, *_schedules]


def _timing(name: str) -> Timing:
    return schedule(SWEEP_EVERY) if name == SWEEP else _schedules[name].timing


def _set_timing(row: PeriodicTask, timing: Timing) -> None:
    model, field = (
        (CrontabSchedule, "crontab")
        if isinstance(timing, crontab)
        else (IntervalSchedule, "interval")
    )
    row.crontab = row.interval = row.solar = row.clocked = None
    found = model.from_schedule(timing)
    found.save()
    setattr(row, field, found)


def _standing(timing: Timing, row: PeriodicTask | None) -> Standing:
    if row is None:
        return Standing.MISSING
    shown = _text(_timing_of(row))
    if shown == _text(timing):
        return Standing.CURRENT
    return Standing.OUTDATED if shown == _written(row) else Standing.EDITED


def _timing_of(row: PeriodicTask) -> Timing:
    """Return the timing of a row; None when it has none, of which `schedule` would make an error."""
    has_one = row.interval or row.crontab or row.solar or row.clocked
    return row.schedule if has_one else None


def _written(row: PeriodicTask) -> str:
    """Return what the code wrote last; nothing for a row that it did not write, or whose note is lost."""
    try:
        return str(json.loads(row.headers or "{}")[WRITTEN])
    except (ValueError, LookupError, TypeError):
        return ""


def _text(given: object) -> str:
    """Return a timing in words that compare: equal exactly when it means the same."""
    timing: Timing = given
    if isinstance(given, crontab):
        parts = (
            timing._orig_minute,
            timing._orig_hour,
            timing._orig_day_of_month,
            timing._orig_month_of_year,
            timing._orig_day_of_week,
        )
        return f"crontab {' '.join(map(str, parts))} {timing.tz}"
    every = getattr(timing, "run_every", None)
    return f"every {every.total_seconds():g} s" if every else f"{timing}"
