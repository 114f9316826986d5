"""A score from facts by a model, explained; and what paying an invoice would change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Any

from credit.scoring import words
from credit.scoring.facts import Facts, Invoice
from credit.scoring.model import FLOOR, Model, band
from khaacho.money import ZERO

ONE = Decimal(1)
HALF = Decimal("0.5")
EXACTLY = Context(prec=28)  # the same digits on every machine


@dataclass(frozen=True)
class Component:
    """One factor: points earned of those possible, and in words why not all."""

    code: str
    possible: int
    earned: int
    sentence: str

    @property
    def loss(self) -> int:
        return self.possible - self.earned

    @property
    def name(self) -> str:
        return words.NAMES[self.code]


@dataclass(frozen=True)
class Score:
    """A score and how it came about: 300 + the points earned + `cap_points` = `score`.

    `cap` is the most that the shop can have now, `reason` why; None and "" without one.
    """

    version: str
    components: tuple[Component, ...]
    cap: int | None
    reason: str
    is_provisional: bool

    @property
    def uncapped(self) -> int:
        return FLOOR + sum(component.earned for component in self.components)

    @property
    def score(self) -> int:
        return self.uncapped if self.cap is None else min(self.cap, self.uncapped)

    @property
    def cap_points(self) -> int:
        """Return what the cap takes away: 0 or negative."""
        return self.score - self.uncapped

    @property
    def band(self) -> str:
        return band(self.score)

    @property
    def losses(self) -> list[Component]:
        """Return the three factors that cost most, the largest loss first."""
        found = [component for component in self.components if component.loss]
        return sorted(found, key=lambda component: -component.loss)[:3]

    @property
    def explanation(self) -> list[str]:
        """Return in sentences why the score is not 900: cap, certainty, and the three largest losses."""
        certain = [words.PROVISIONAL] if self.is_provisional else []
        losses = [f"{each.sentence}: −{each.loss}" for each in self.losses]
        return [*([self.reason] if self.reason else []), *certain, *losses]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the components as they are stored."""
        return [
            {
                "code": component.code,
                "name": component.name,
                "possible": component.possible,
                "earned": component.earned,
                "sentence": component.sentence,
            }
            for component in self.components
        ]


def score(facts: Facts, model: Model) -> Score:
    """Return the score of a shop with these facts, explained."""
    with localcontext(EXACTLY):
        shares = {
            "payment": _payment(facts, model),
            "utilisation": _utilisation(facts, model),
            "disputes": _disputes(facts, model),
            "consistency": _consistency(facts, model),
            "tenure": _tenure(facts, model),
        }
        exact = {code: shares[code] * points for code, points in model.points.items()}
        earned = whole_points(exact)
    cap, reason = _cap(facts, model)
    sentences = words.sentences(facts, model)
    components = tuple(
        Component(code, possible, earned[code], sentences[code])
        for code, possible in model.points.items()
    )
    few = facts.settled_count < model.settled_for_certainty
    return Score(model.version, components, cap, reason, few)


def whole_points(exact: Mapping[str, Decimal]) -> dict[str, int]:
    """Return whole numbers that add up to the rounded (half up) sum: the largest remainders are rounded up."""
    total = int(sum(exact.values(), Decimal(0)).quantize(ONE, rounding=ROUND_HALF_UP))
    whole = {code: int(points) for code, points in exact.items()}
    by_remainder = sorted(exact, key=lambda code: whole[code] - exact[code])
    for code in by_remainder[: total - sum(whole.values())]:
        whole[code] += 1
    return whole


def _payment(facts: Facts, model: Model) -> Decimal:
    """Half the share in time, half the severity; recent invoices weigh more, few count towards the prior."""
    invoices = facts.counted(model)
    weight = in_time = severity = Decimal(0)
    for invoice in invoices:
        each = _weight((facts.as_of - invoice.due).days, model.half_life_days)
        late = invoice.days_late(facts.as_of)
        weight += each
        in_time += each if late == 0 else 0
        severity += each * _severity(late, model)
    if not invoices:
        return model.prior
    mean = (in_time / weight + severity / weight) / 2
    few = model.prior_invoices
    return (len(invoices) * mean + few * model.prior) / (len(invoices) + few)


@lru_cache(maxsize=4096)
def _weight(days: int, half_life: int) -> Decimal:
    with localcontext(EXACTLY):
        return HALF ** (Decimal(days) / half_life)


_severities: dict[tuple[str, int], Decimal] = {}


def _severity(days_late: int, model: Model) -> Decimal:
    key = model.version, days_late
    found = _severities.get(key)
    if found is None:
        found = _severities[key] = model.severity.at(Decimal(days_late))
    return found


def _utilisation(facts: Facts, model: Model) -> Decimal:
    if facts.utilisation is None:
        return model.unknown_utilisation
    return model.utilisation.at(facts.utilisation)


def _disputes(facts: Facts, model: Model) -> Decimal:
    disputes, orders = model.dispute_prior
    return model.disputes.at((facts.disputes + disputes) / (facts.orders + orders))


def _consistency(facts: Facts, model: Model) -> Decimal:
    """Half the active periods, half the regularity of the gaps."""
    if facts.customer_since is None:
        return model.no_orders
    activity = Decimal(facts.active_periods) / model.periods / model.full_activity
    return (min(activity, ONE) + _regularity(facts, model)) / 2


def _regularity(facts: Facts, model: Model) -> Decimal:
    if not facts.active_periods:
        return Decimal(0)
    if len(facts.gaps) < 2:
        return model.no_orders
    return min(1 / (1 + variation(facts.gaps)) / model.full_regularity, ONE)


def variation(gaps: Sequence[int]) -> Decimal:
    """Return the coefficient of variation: standard deviation of the whole / mean."""
    mean = Decimal(sum(gaps)) / len(gaps)
    squares = sum(((gap - mean) ** 2 for gap in gaps), Decimal(0))
    return (squares / len(gaps)).sqrt() / mean


def _tenure(facts: Facts, model: Model) -> Decimal:
    return min(Decimal(facts.months) / model.tenure_months, ONE)


def _cap(facts: Facts, model: Model) -> tuple[int | None, str]:
    """Return the lowest cap that applies, and why; None and "" when none does."""
    late = facts.oldest_days_late
    found: list[tuple[int, str]] = []
    if facts.is_written_off:
        found.append((model.written_off_cap, words.WRITTEN_OFF))
    found += [(cap, words.late(late, days)) for days, cap in model.late_caps if late > days]
    bounced = max(facts.bounced_on, default=None)
    if bounced and (facts.as_of - bounced).days <= model.bounced_days:
        found.append((model.bounced_cap, words.bounced(bounced)))
    if not found:
        return None, ""
    cap, why = min(found, key=lambda each: each[0])
    return cap, f"{why}: at most {cap}"


@dataclass(frozen=True)
class Advice:
    """What paying one invoice today would do: the score today, and 30 days from now either way."""

    invoice: Invoice
    days_late: int
    score: int
    if_paid: int
    later_if_paid: int
    later_if_unpaid: int

    @property
    def later(self) -> tuple[int, int]:
        return self.later_if_paid, self.later_if_unpaid

    @property
    def sentence(self) -> str:
        return words.advice(self.invoice, self.days_late, (self.score, self.if_paid), self.later)


ADVICE_DAYS = 30


def advice(facts: Facts, model: Model, *, most: int = 5) -> list[Advice]:
    """Return what paying each of the oldest open invoices today would do; all others stay as they are."""
    now = score(facts, model).score
    later = replace(facts, as_of=facts.as_of + timedelta(days=ADVICE_DAYS))
    unpaid_later = score(later, model).score
    found = []
    for invoice in facts.unpaid[:most]:
        paid = pay(facts.invoices, invoice, facts.as_of)
        found.append(
            Advice(
                invoice=invoice,
                days_late=invoice.days_late(facts.as_of),
                score=now,
                if_paid=score(replace(facts, invoices=paid), model).score,
                later_if_paid=score(replace(later, invoices=paid), model).score,
                later_if_unpaid=unpaid_later,
            )
        )
    return found


def pay(invoices: Iterable[Invoice], paid: Invoice, on: date) -> tuple[Invoice, ...]:
    """Return the invoices with that one settled on a day."""
    return tuple(
        replace(each, settled=on, left=ZERO) if each is paid else each for each in invoices
    )
