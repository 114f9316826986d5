"""The ladder's rules, of the planner alone."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments import dunning
from payments.dunning import KATHMANDU, Due, Level, Step, plan

MONDAY = date(2026, 11, 23)
FRIDAY, SATURDAY, SUNDAY = (MONDAY + timedelta(days=n) for n in (4, 5, 6))


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), KATHMANDU)


def due(invoice: int = 1, *, late: int, today: date = MONDAY, **fields) -> Due:
    return Due(invoice, today - timedelta(days=late), Decimal(100), **fields)


def messages(*dues: Due, done=(), last=None, now=None) -> list[tuple[int, int]]:
    found = plan(dues, done, last, now or at(MONDAY))
    return [(step.invoice, step.level) for step in found.message]


@pytest.mark.parametrize(
    ("late", "level"),
    [(-3, -3), (-1, -3), (0, 0), (2, 0), (3, 3), (7, 7), (14, 7), (15, 15), (30, 30), (500, 30)],
)
def test_the_highest_message_reached_is_sent(late, level):
    assert messages(due(late=late)) == [(1, level)]


def test_nothing_is_said_before_the_courtesy():
    assert plan([due(late=-4)], (), None, at(MONDAY)) == dunning.Plan()


@pytest.mark.parametrize(("late", "level"), [(45, 45), (59, 45), (60, 60), (89, 60), (90, 90)])
def test_beyond_the_hold_staff_get_the_highest_task(late, level):
    found = plan([due(late=late)], (), None, at(MONDAY))
    assert found.tasks == (Step(1, Level(level)),)


def test_levels_that_were_missed_are_passed_over_for_good():
    found = plan([due(late=8)], {(1, -3)}, None, at(MONDAY))
    assert found.message == (Step(1, Level.FIRM),)
    assert found.superseded == (Step(1, Level.TODAY), Step(1, Level.FRIENDLY))


def test_all_dues_go_into_one_message_each_with_its_level():
    assert messages(due(1, late=0), due(2, late=16), due(3, late=-9)) == [(1, 0), (2, 15)]


def test_what_was_done_is_not_done_again():
    assert messages(due(late=5), done={(1, 3)}) == []
    assert messages(due(late=5), done={(2, 3), (1, 0)}) == [(1, 3)]


def test_a_reopened_invoice_goes_on_where_it_stands():
    """A bounced cheque: 3 and 7 were sent, three weeks passed while it looked paid."""
    found = plan([due(late=31)], {(1, 3), (1, 7)}, None, at(MONDAY))
    assert found.message == (Step(1, Level.HOLD),)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_disputed": True},
        {"promised_until": MONDAY},
        {"promised_until": MONDAY + timedelta(days=9)},
    ],
)
@pytest.mark.parametrize("late", [-3, 7, 90])
def test_nothing_about_what_is_disputed_or_promised(fields, late):
    assert plan([due(late=late, **fields)], (), None, at(MONDAY)) == dunning.Plan()


def test_nothing_about_what_is_paid():
    paid = replace(due(late=7), amount=Decimal("0.00"))
    assert plan([paid], (), None, at(MONDAY)) == dunning.Plan()


def test_a_broken_promise_resumes_the_ladder_on_the_day_after():
    promise = due(late=7, promised_until=MONDAY - timedelta(days=1))
    assert messages(promise) == [(1, 7)]


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        (at(MONDAY, 8, 59), True),
        (at(MONDAY, 9), False),
        (at(MONDAY, 18, 59), False),
        (at(MONDAY, 19), True),
        (at(SATURDAY, 12), True),
        (at(SUNDAY, 12), False),
        (datetime.fromisoformat("2026-11-23T03:14:59+00:00"), True),  # 08:59:59
        (datetime.fromisoformat("2026-11-23T03:15:00+00:00"), False),
    ],
)
def test_quiet_hours_are_kathmandus(now, quiet):
    assert dunning.is_quiet(now) is quiet
    assert bool(messages(due(late=7, today=now.astimezone(KATHMANDU).date()), now=now)) is not quiet


@pytest.mark.parametrize(
    ("now", "chance"),
    [
        (at(MONDAY, 7), at(MONDAY)),
        (at(MONDAY, 20), at(MONDAY + timedelta(days=1))),
        (at(FRIDAY, 19), at(SUNDAY)),
        (at(SATURDAY, 9), at(SUNDAY)),
    ],
)
def test_a_quiet_moment_waits_for_the_next_opening(now, chance):
    found = plan([due(late=7)], (), None, now)
    assert (found.message, found.superseded, found.next_try) == ((), (), chance)


def test_a_task_for_staff_waits_for_no_hour():
    assert plan([due(late=45)], (), None, at(SATURDAY, 23)).tasks == (Step(1, Level.CALL),)


@pytest.mark.parametrize(("days", "sent"), [(0, False), (1, False), (2, False), (3, True)])
def test_three_days_lie_between_messages(days, sent):
    last = MONDAY - timedelta(days=days)
    assert bool(messages(due(late=7), last=last)) is sent


def test_a_gap_that_ends_on_saturday_ends_on_sunday():
    found = plan([due(late=0)], (), MONDAY + timedelta(days=2), at(MONDAY + timedelta(days=3)))
    assert found.next_try == at(SUNDAY)


# A year of days, as whatever the trade does: the same rules, whichever way.


@dataclass
class Invoice:
    """An invoice's story in days from the beginning; the due date is day `due`."""

    due: int
    paid: int | None
    reopened: int | None
    dispute: tuple[int, int] | None
    promises: list[tuple[int, int]]  # (made on, until)

    def on(self, number: int, day: int, begin: date) -> Due:
        paid = self.paid is not None and self.paid <= day
        reopened = self.reopened is not None and self.reopened <= day
        until = [end for made, end in self.promises if made <= day]
        return Due(
            number,
            begin + timedelta(days=self.due),
            Decimal(0) if paid and not reopened else Decimal(50),
            is_disputed=self.dispute is not None and self.dispute[0] <= day < self.dispute[1],
            promised_until=begin + timedelta(days=max(until)) if until else None,
        )


@st.composite
def invoices(draw) -> Invoice:
    day = st.integers(0, 100)
    paid = draw(st.none() | day)
    return Invoice(
        due=draw(st.integers(-100, 60)),
        paid=paid,
        reopened=None if paid is None else draw(st.none() | st.integers(paid + 1, paid + 30)),
        dispute=draw(st.none() | st.tuples(day, st.integers(0, 110)).filter(lambda d: d[0] < d[1])),
        promises=[
            (made, made + length)
            for made, length in draw(st.lists(st.tuples(day, st.integers(0, 20)), max_size=2))
        ],
    )


@dataclass
class Played:
    sent: list[tuple[datetime, list[tuple[Due, int]]]] = field(default_factory=list)
    settled: dict[tuple[int, int], int] = field(default_factory=dict)  # step → day


def play(stories: list[Invoice], moments: list[list[int]], begin: date, days: int = 120) -> Played:
    """Run the planner at the given minutes of each day; everything planned is sent."""
    played, done, last = Played(), set(), None
    for day in range(days):
        today = begin + timedelta(days=day)
        dues = {n: story.on(n, day, begin) for n, story in enumerate(stories)}
        for minute in sorted(moments[day % len(moments)]):
            now = datetime.combine(today, time(minute // 60, minute % 60), KATHMANDU)
            found = plan(dues.values(), done, last, now)
            for step in (*found.message, *found.tasks, *found.superseded):
                assert (step.invoice, step.level) not in played.settled, "twice"
                played.settled[step.invoice, step.level] = day
                done.add((step.invoice, step.level))
                assert dunning.hindrance(dues[step.invoice], today) is None
            if found.message:
                assert found.next_try is None
                last = today
                played.sent.append((now, [(dues[s.invoice], s.level) for s in found.message]))
    return played


MINUTES = st.lists(st.lists(st.integers(0, 1439), max_size=3), min_size=1, max_size=9)
BEGIN = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@given(st.lists(invoices(), min_size=1, max_size=5), MINUTES, BEGIN)
def test_no_rule_is_ever_broken(stories, moments, begin):
    played = play(stories, moments, begin)
    days = [now.date() for now, _ in played.sent]
    for now, lines in played.sent:
        assert 9 <= now.hour < 19
        assert now.isoweekday() != 6
        for told, level in lines:
            assert told.amount > 0
            assert not told.is_disputed
            assert told.promised_until is None or told.promised_until < now.date()
            assert (now.date() - told.due_date).days >= level
        assert len({told.invoice for told, _ in lines}) == len(lines)
    assert all((b - a).days >= 3 for a, b in pairwise(days))


@given(st.lists(invoices(), min_size=1, max_size=5), BEGIN)
def test_no_due_is_forgotten(stories, begin):
    """With the job at nine each day, a level is settled within three quiet-free days of being reached."""
    played = play(stories, [[9 * 60]], begin)
    for number, story in enumerate(stories):
        calm: dict[int, int] = defaultdict(int)  # level → days in a row on which it could be sent
        for day in range(120):
            state = story.on(number, day, begin)
            today = begin + timedelta(days=day)
            for level in Level:
                reached = (today - state.due_date).days >= level
                settled = played.settled.get((number, level), 999) <= day
                waits = reached and not settled and dunning.hindrance(state, today) is None
                calm[level] = calm[level] + 1 if waits else 0
                assert calm[level] <= 3, (number, level, day)
