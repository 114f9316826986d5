"""When a shop is reminded of what it owes. Pure: whoever calls has read the rows.

The ladder is days from an invoice's due date. Up to 30 a level is a message to the shop; beyond it is a
task for staff. All that is due goes into one message, at most one a day and three days apart, on
weekdays but Saturday from 9 to 19 o'clock in Kathmandu. Each (invoice, level) is done once; of several
missed levels only the highest is.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from zoneinfo import ZoneInfo

KATHMANDU = ZoneInfo("Asia/Kathmandu")
OPENS, CLOSES = time(9), time(19)
SATURDAY = 5  # date.weekday()
GAP = timedelta(days=3)  # between the days of two messages to one shop
DAY = timedelta(days=1)


class Level(IntEnum):
    """Days from the due date."""

    COURTESY = -3
    TODAY = 0
    FRIENDLY = 3
    FIRM = 7
    LAST = 15
    HOLD = 30
    CALL = 45
    COLLECTOR = 60
    REVIEW = 90


MESSAGES = tuple(level for level in Level if level <= Level.HOLD)
TASKS = tuple(level for level in Level if level > Level.HOLD)


@dataclass(frozen=True)
class Due:
    """An invoice with `amount` NPR left to pay. `promised_until`: the last day of an open promise."""

    invoice: int
    due_date: date
    amount: Decimal
    is_disputed: bool = False
    promised_until: date | None = None


@dataclass(frozen=True)
class Step:
    """A level of the ladder for an invoice."""

    invoice: int
    level: Level


@dataclass(frozen=True)
class Plan:
    """What to do now for one shop.

    `message` are the steps of one message, `tasks` those for staff, `superseded` lower levels that are
    passed over for good. `next_try`: when a message may be due that cannot go now, or None.
    """

    message: tuple[Step, ...] = ()
    tasks: tuple[Step, ...] = ()
    superseded: tuple[Step, ...] = ()
    next_try: datetime | None = None


def plan(
    dues: Iterable[Due],
    done: Collection[tuple[int, int]],
    last_message: date | None,
    now: datetime,
) -> Plan:
    """Return what follows for a shop from its dues at the moment `now` (aware).

    `done`: (invoice, level) that were sent, waived or made a task. `last_message`: the newest day on
    which a message went out or is about to.
    """
    today = now.astimezone(KATHMANDU).date()
    open_dues = [due for due in dues if hindrance(due, today) is None]
    tasks, passed_tasks = _highest(open_dues, TASKS, done, today)
    wanted, passed = _highest(open_dues, MESSAGES, done, today)
    allowed_from = first_chance(last_message, now)
    if wanted and allowed_from > now:
        wanted, passed, next_try = (), (), allowed_from
    else:
        next_try = None
    return Plan(wanted, tasks, passed + passed_tasks, next_try)


def hindrance(due: Due, today: date) -> str | None:
    """Return why nobody is reminded of a due on that day: `paid`, `disputed`, `promised`, or None."""
    if due.amount <= 0:
        return "paid"
    if due.is_disputed:
        return "disputed"
    if due.promised_until is not None and today <= due.promised_until:
        return "promised"
    return None


def _highest(
    dues: Sequence[Due],
    levels: Sequence[Level],
    done: Collection[tuple[int, int]],
    today: date,
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the highest level reached of each due unless it is done, and lower ones left undone."""
    chosen: list[Step] = []
    passed: list[Step] = []
    for due in dues:
        late = (today - due.due_date).days
        reached = [level for level in levels if level <= late]
        undone = [level for level in reached if (due.invoice, level) not in done]
        for level in undone:
            (chosen if level == reached[-1] else passed).append(Step(due.invoice, level))
    return tuple(chosen), tuple(passed)


def is_quiet(moment: datetime) -> bool:
    """Return whether nobody is written to then: at night, and on Saturdays, in Kathmandu."""
    local = moment.astimezone(KATHMANDU)
    return local.weekday() == SATURDAY or not OPENS <= local.time() < CLOSES


def first_chance(last_message: date | None, now: datetime) -> datetime:
    """Return the first moment from `now` on at which a message may go: not quiet, and the gap is over."""
    earliest = now.astimezone(KATHMANDU)
    if last_message is not None:
        earliest = max(earliest, _opening(last_message + GAP))
    if not is_quiet(earliest):
        return earliest
    day = earliest.date() if earliest.time() < OPENS else earliest.date() + DAY
    return _opening(day if day.weekday() != SATURDAY else day + DAY)


def _opening(day: date) -> datetime:
    return datetime.combine(day, OPENS, KATHMANDU)
