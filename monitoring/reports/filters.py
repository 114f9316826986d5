"""What a report may be narrowed to: read from what was asked, kept as JSON, bound to statements."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.dateparse import parse_date

from khaacho.exceptions import Invalid

KATHMANDU = ZoneInfo("Asia/Kathmandu")
DEFAULT_DAYS = 30
MAX_DAYS = 5 * 366
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 12, 31)
ID_MAX = 2**63 - 1
AMOUNT_MAX = Decimal(10) ** 12


class Refusal(ValueError):
    """What is wrong with one filter, as a sentence."""


def _day(value: Any) -> str:
    try:
        day = parse_date(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    if not isinstance(day, date) or isinstance(day, datetime):
        raise Refusal("A day as YYYY-MM-DD.")
    if not EARLIEST <= day <= LATEST:
        raise Refusal("This day is out of range.")
    return day.isoformat()


def _record_id(value: Any) -> int:
    number = (
        int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    )
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= ID_MAX:
        raise Refusal("The id of a record.")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 40 or "\0" in value:
        raise Refusal("A name of at most 40 characters.")
    return value.strip()


def _amount(value: Any) -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= AMOUNT_MAX:
        raise Refusal("An amount in NPR, zero or more.")
    if amount != round(amount, 2):
        raise Refusal("At most two decimals.")
    return f"{amount:.2f}"


_READERS: Mapping[str, Callable[[Any], str | int]] = {
    "from": _day,
    "to": _day,
    "retailer_id": _record_id,
    "vendor_id": _record_id,
    "district": _text,
    "min_outstanding": _amount,
    "group_by": _text,
}


@dataclass(frozen=True)
class Allowed:
    """The filters that a kind of report knows; of `groups` the first is the default."""

    names: Collection[str]
    groups: tuple[str, ...] = ()
    required: Collection[str] = ()

    @property
    def has_period(self) -> bool:
        return "from" in self.names


def clean(given: Mapping[str, Any], allowed: Allowed, today: date) -> dict[str, Any]:
    """Return the filters as they are kept: every default filled in, JSON values alone.

    Raises Invalid with the errors by filter: an unknown one, a bad value, a period the wrong way round.
    """
    errors: dict[str, list[str]] = {}
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name not in allowed.names:
            known = ", ".join(sorted(allowed.names)) or "none"
            errors[str(name)[:40]] = [f"This report has no such filter; it has: {known}."]
        elif value is not None:
            try:
                kept[name] = _READERS[name](value)
            except Refusal as refusal:
                errors[name] = [str(refusal)]
    _check_group(kept, allowed, errors)
    errors.update({n: ["This filter is required."] for n in allowed.required if n not in given})
    if allowed.has_period and not errors:
        _fill_period(kept, today, errors)
    if errors:
        raise Invalid("The report's filters are not valid.", errors=errors)
    return kept


def _check_group(kept: dict[str, Any], allowed: Allowed, errors: dict[str, list[str]]) -> None:
    if not allowed.groups:
        return
    group = kept.setdefault("group_by", allowed.groups[0])
    if group not in allowed.groups:
        errors["group_by"] = [f"One of {', '.join(allowed.groups)}."]


def _fill_period(kept: dict[str, Any], today: date, errors: dict[str, list[str]]) -> None:
    end = date.fromisoformat(kept.get("to", today.isoformat()))
    start = date.fromisoformat(kept.get("from", (end - timedelta(days=DEFAULT_DAYS)).isoformat()))
    if start > end:
        errors["from"] = ["The first day is after the last."]
    elif (end - start).days >= MAX_DAYS:
        errors["from"] = [f"At most {MAX_DAYS} days at once."]
    kept |= {"from": start.isoformat(), "to": end.isoformat()}


@dataclass(frozen=True)
class Filters:
    """Kept filters as statements bind them. A period's days are Kathmandu's, both included."""

    kept: Mapping[str, Any]

    @property
    def start(self) -> date:
        return date.fromisoformat(self.kept["from"])

    @property
    def end(self) -> date:
        return date.fromisoformat(self.kept["to"])

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def group_by(self) -> str:
        return str(self.kept.get("group_by", ""))

    def __contains__(self, name: str) -> bool:
        return name in self.kept

    def where(self, conditions: Mapping[str, str]) -> str:
        """Return `AND …` of the conditions whose filters are given."""
        return "".join(f" AND {sql}" for name, sql in conditions.items() if name in self.kept)

    def bound(self) -> dict[str, Any]:
        """Return all that a statement may bind: the filters, the period's instants, the hold's days."""
        values = dict(self.kept) | {"hold_days": settings.CREDIT_HOLD_DAYS_LATE}
        if "from" in self.kept:
            values |= {
                "start": self.start,
                "end": self.end,
                "start_at": midnight(self.start),
                "end_at": midnight(self.end + timedelta(days=1)),
                "before_at": midnight(self.start - timedelta(days=self.days)),
            }
        return values


def midnight(day: date) -> datetime:
    """Return the instant at which a day of Kathmandu begins."""
    return datetime.combine(day, time(), KATHMANDU)
