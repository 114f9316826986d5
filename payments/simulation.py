"""A made-up trade that runs through the planner day by day, and an auditor who believes nothing. Pure.

The trade has prompt and slow shops, cheques that bounce, promises kept and broken, disputes, jobs that
run late and messages that wait. The auditor knows only what was true when a message went.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from random import Random

from payments import dunning
from payments.dunning import KATHMANDU, Due, Level, Step, plan

ORDERS_A_DAY = 0.12  # of one shop
TERMS = (0, 7, 15, 30, 30, 30, 45)  # days
# Of invoices, by the shop's habit: mean days late, share that is never paid by itself.
HABITS = {"prompt": (-1, 0.00), "slow": (9, 0.01), "late": (28, 0.04), "bad": (60, 0.30)}
SHARES = (0.45, 0.30, 0.18, 0.07)
BOUNCE, DISPUTE, PROMISE, KEEPS = 0.04, 0.02, 0.15, 0.6
LATE_JOB, SLOW_SEND = 0.08, 0.05  # shares of mornings, of messages


@dataclass
class Invoice:
    """One invoice's life; days are dates, None: never."""

    number: int
    shop: int
    due_date: date
    amount: Decimal
    paid_on: date | None
    bounces_on: date | None = None
    paid_again_on: date | None = None
    dispute: tuple[date, date] | None = None
    promised_on: date | None = None
    promised_until: date | None = None

    def is_open(self, day: date) -> bool:
        if self.paid_on is None or day < self.paid_on:
            return True
        if self.bounces_on is None or day < self.bounces_on:
            return False
        return self.paid_again_on is None or day < self.paid_again_on

    def as_due(self, day: date) -> Due:
        promise = self.promised_on is not None and self.promised_on <= day
        return Due(
            self.number,
            self.due_date,
            self.amount if self.is_open(day) else Decimal(0),
            is_disputed=self.dispute is not None and self.dispute[0] <= day < self.dispute[1],
            promised_until=self.promised_until if promise else None,
        )


@dataclass(frozen=True)
class Message:
    """What a shop received, and the dues as they were at that moment."""

    shop: int
    at: datetime
    lines: tuple[tuple[Due, Level], ...]


@dataclass
class Shop:
    number: int
    habit: str
    invoices: list[Invoice] = field(default_factory=list)
    done: set[tuple[int, int]] = field(default_factory=set)
    last_message: date | None = None


@dataclass
class Outcome:
    """A simulated stretch of time."""

    begin: date
    days: int
    seed: int
    shops: int
    invoices: int = 0
    messages: list[Message] = field(default_factory=list)
    tasks: list[tuple[date, Step]] = field(default_factory=list)
    superseded: int = 0
    dropped: int = 0
    violations: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[date, Level]]:
        """Every reminder sent: its day and level."""
        for message in self.messages:
            for _, level in message.lines:
                yield message.at.date(), level

    def by_day(self) -> dict[date, dict[Level, int]]:
        counted: dict[date, dict[Level, int]] = defaultdict(lambda: defaultdict(int))
        for day, level in self.lines():
            counted[day][level] += 1
        for day, step in self.tasks:
            counted[day][step.level] += 1
        return counted

    def by_level(self) -> dict[Level, int]:
        totals = dict.fromkeys(Level, 0)
        for levels in self.by_day().values():
            for level, number in levels.items():
                totals[level] += number
        return totals

    def messages_per_shop(self) -> dict[int, int]:
        """Number of messages → number of shops that got so many."""
        each: dict[int, int] = defaultdict(int)
        for message in self.messages:
            each[message.shop] += 1
        spread: dict[int, int] = defaultdict(int)
        for number in range(self.shops):
            spread[each[number]] += 1
        return dict(sorted(spread.items()))


def simulate(
    *,
    begin: date,
    days: int,
    shops: int,
    seed: int,
    progress: Callable[[int], None] = lambda day: None,
) -> Outcome:
    """Run the trade of so many shops over so many days from `begin`, and audit it."""
    random = Random(seed)  # noqa: S311 - a made-up trade
    outcome = Outcome(begin, days, seed, shops)
    habits = random.choices(list(HABITS), SHARES, k=shops)
    cast = [Shop(number, habit) for number, habit in enumerate(habits)]
    numbers = count(1)
    for offset in range(days):
        day = begin + timedelta(days=offset)
        hour = random.choice((10, 17, 20, 23)) if random.random() < LATE_JOB else 9
        for shop in cast:
            if random.random() < ORDERS_A_DAY:
                shop.invoices.append(_invoice(next(numbers), shop, day, random))
            _morning(shop, datetime.combine(day, time(hour), KATHMANDU), random, outcome)
        progress(offset + 1)
    outcome.invoices = next(numbers) - 1
    outcome.violations = audit(outcome, cast)
    return outcome


def _invoice(number: int, shop: Shop, day: date, random: Random) -> Invoice:
    """Make up an invoice and all that will become of it."""
    late, never = HABITS[shop.habit]
    due_date = day + timedelta(days=random.choice(TERMS))
    made = Invoice(
        number,
        shop.number,
        due_date,
        Decimal(random.randint(5, 400) * 100),
        None
        if random.random() < never
        else max(day, due_date + timedelta(days=round(random.gauss(late, abs(late) / 2 + 2)))),
    )
    if made.paid_on and random.random() < BOUNCE:
        made.bounces_on = made.paid_on + timedelta(days=random.randint(3, 12))
        made.paid_again_on = made.bounces_on + timedelta(days=random.randint(5, 60))
    if random.random() < DISPUTE:
        opened = due_date + timedelta(days=random.randint(-5, 30))
        made.dispute = (opened, opened + timedelta(days=random.randint(2, 45)))
    if shop.habit != "prompt" and random.random() < PROMISE:
        made.promised_on = due_date + timedelta(days=random.randint(0, 35))
        made.promised_until = made.promised_on + timedelta(days=random.randint(1, 14))
        if random.random() < KEEPS and made.is_open(made.promised_until):
            made.paid_on = made.promised_until
            made.bounces_on = None
    return made


def _morning(shop: Shop, now: datetime, random: Random, outcome: Outcome) -> None:
    """Plan for one shop and send, as the job and the sending step do."""
    today = now.date()
    dues = [invoice.as_due(today) for invoice in shop.invoices if invoice.is_open(today)]
    found = plan(dues, shop.done, shop.last_message, now)
    shop.done.update((s.invoice, s.level) for s in (*found.tasks, *found.superseded))
    outcome.tasks.extend((today, step) for step in found.tasks)
    outcome.superseded += len(found.superseded)
    if found.message:
        slow = (
            timedelta(hours=random.randint(1, 14)) if random.random() < SLOW_SEND else timedelta()
        )
        _send(shop, found.message, now + slow, today, outcome)


def _send(
    shop: Shop, steps: tuple[Step, ...], now: datetime, planned: date, outcome: Outcome
) -> None:
    """Look again, then send what may still be said; a message of yesterday or of the night is dropped."""
    if dunning.is_quiet(now) or now.date() != planned:
        outcome.dropped += 1
        return
    by_number = {invoice.number: invoice for invoice in shop.invoices}
    dues = {step.invoice: by_number[step.invoice].as_due(now.date()) for step in steps}
    lines = tuple(
        (dues[step.invoice], step.level)
        for step in steps
        if dunning.hindrance(dues[step.invoice], now.date()) is None
    )
    shop.done.update((step.invoice, step.level) for step in steps)
    if lines:
        shop.last_message = planned
        outcome.messages.append(Message(shop.number, now, lines))


def audit(outcome: Outcome, shops: list[Shop]) -> list[str]:
    """Return every broken rule, in words; from the messages and the invoices alone."""
    invoices = {invoice.number: invoice for shop in shops for invoice in shop.invoices}
    faults: list[str] = []
    seen: set[tuple[int, int]] = set()
    last: dict[int, date] = {}
    for message in outcome.messages:
        faults += _audit_time(message, last)
        for due, level in message.lines:
            faults += _audit_line(message, invoices[due.invoice], level)
            faults += _audit_once(Step(due.invoice, level), seen)
    for day, step in outcome.tasks:
        faults += _audit_once(step, seen)
        faults += _audit_state(f"task {step.level}", invoices[step.invoice], day)
    return [*faults, *_forgotten(outcome, shops)]


def _audit_time(message: Message, last: dict[int, date]) -> Iterator[str]:
    local, day = message.at, message.at.date()
    if not 9 <= local.hour < 19:
        yield f"shop {message.shop} was written to at {local:%H:%M}"
    if day.isoweekday() == 6:
        yield f"shop {message.shop} was written to on Saturday {day}"
    previous = last.get(message.shop)
    if previous is not None and (day - previous).days < 3:
        yield f"shop {message.shop} was written to on {previous} and {day}"
    last[message.shop] = day


def _audit_line(message: Message, invoice: Invoice, level: Level) -> Iterator[str]:
    day = message.at.date()
    if invoice.shop != message.shop:
        yield f"shop {message.shop} was told of another's invoice {invoice.number}"
    if (day - invoice.due_date).days < level:
        yield f"invoice {invoice.number} was told at level {level} before its day"
    yield from _audit_state(f"level {level}", invoice, day)


def _audit_state(what: str, invoice: Invoice, day: date) -> Iterator[str]:
    if not invoice.is_open(day):
        yield f"{what} about invoice {invoice.number}, which was paid"
    if invoice.dispute and invoice.dispute[0] <= day < invoice.dispute[1]:
        yield f"{what} about invoice {invoice.number}, which was disputed"
    promised = invoice.promised_on, invoice.promised_until
    if promised[0] and promised[1] and promised[0] <= day <= promised[1]:
        yield f"{what} about invoice {invoice.number}, which was promised"


def _audit_once(step: Step, seen: set[tuple[int, int]]) -> Iterator[str]:
    key = (step.invoice, int(step.level))
    if key in seen:
        yield f"invoice {step.invoice} had level {step.level} twice"
    seen.add(key)


def _forgotten(outcome: Outcome, shops: list[Shop]) -> Iterator[str]:
    """Find invoices that stood open and undisturbed for 30 days after the last message, and had none."""
    end = outcome.begin + timedelta(days=outcome.days - 1)
    for shop in shops:
        for invoice in shop.invoices:
            reached = max(invoice.due_date + timedelta(days=Level.HOLD), outcome.begin)
            days = [reached + timedelta(days=n) for n in range(30)]
            calm = days[-1] <= end and all(
                dunning.hindrance(invoice.as_due(day), day) is None for day in days
            )
            if calm and (invoice.number, Level.HOLD) not in shop.done:
                yield f"invoice {invoice.number} was forgotten at level {Level.HOLD}"
