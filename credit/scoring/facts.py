"""What is known of a shop on one day: all that its score is made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from credit.scoring.model import Model
from khaacho.money import ZERO


@dataclass(frozen=True)
class Invoice:
    """One delivered order. `settled` is the day on which it was fully paid; until then `left` NPR are open."""

    due: date
    settled: date | None = None
    number: str = ""
    left: Decimal = ZERO

    def days_late(self, as_of: date) -> int:
        """Return days from due to settled, or to `as_of`; 0 when in time."""
        return max(((self.settled or as_of) - self.due).days, 0)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a shop on the day `as_of` of Kathmandu.

    `invoices`: due in the last 24 months or later, and any unpaid one. `utilisation`: mean of daily
    debt / limit over 90 days, None without a limit or an order. `orders` and `disputes`: of 24 months.
    `active_periods`: of the last 13 of 28 days, those with an order; `gaps`: days between the days with
    orders in them. `customer_since`: first order since the last year without any.
    """

    as_of: date
    invoices: tuple[Invoice, ...] = ()
    utilisation: Decimal | None = None
    orders: int = 0
    disputes: int = 0
    active_periods: int = 0
    gaps: tuple[int, ...] = ()
    customer_since: date | None = None
    bounced_on: tuple[date, ...] = ()
    is_written_off: bool = False

    @property
    def unpaid(self) -> list[Invoice]:
        """Return the invoices with something left to pay, oldest due first."""
        return sorted(
            (invoice for invoice in self.invoices if invoice.settled is None),
            key=lambda invoice: (invoice.due, invoice.number),
        )

    @property
    def oldest_days_late(self) -> int:
        """Return how many days the oldest due is late; 0 when none is."""
        return max((invoice.days_late(self.as_of) for invoice in self.unpaid), default=0)

    @property
    def settled_count(self) -> int:
        return sum(invoice.settled is not None for invoice in self.invoices)

    def counted(self, model: Model) -> list[Invoice]:
        """Return the invoices whose due date has come, at most 24 months ago."""
        first = self.as_of - timedelta(days=model.history_days)
        return [invoice for invoice in self.invoices if first < invoice.due <= self.as_of]

    @property
    def months(self) -> int:
        """Return the whole months since the shop became a customer; 0 when it is one no longer."""
        since, now = self.customer_since, self.as_of
        if since is None or not self.active_periods:
            return 0
        whole = (now.year - since.year) * 12 + now.month - since.month
        return max(whole - (now.day < since.day), 0)

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON that `from_json` reads again."""
        return {
            "as_of": self.as_of.isoformat(),
            "invoices": [_invoice_as_json(invoice) for invoice in self.invoices],
            "utilisation": None if self.utilisation is None else str(self.utilisation),
            "orders": self.orders,
            "disputes": self.disputes,
            "active_periods": self.active_periods,
            "gaps": list(self.gaps),
            "customer_since": self.customer_since and self.customer_since.isoformat(),
            "bounced_on": [day.isoformat() for day in self.bounced_on],
            "is_written_off": self.is_written_off,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Facts":
        """Return the facts that `as_json` wrote. Raises KeyError, ValueError, TypeError for anything else."""
        since = stored["customer_since"]
        utilisation = stored["utilisation"]
        return cls(
            as_of=date.fromisoformat(stored["as_of"]),
            invoices=tuple(_invoice_from_json(*each) for each in stored["invoices"]),
            utilisation=None if utilisation is None else Decimal(utilisation),
            orders=stored["orders"],
            disputes=stored["disputes"],
            active_periods=stored["active_periods"],
            gaps=tuple(stored["gaps"]),
            customer_since=since and date.fromisoformat(since),
            bounced_on=tuple(map(date.fromisoformat, stored["bounced_on"])),
            is_written_off=stored["is_written_off"],
        )


def _invoice_as_json(invoice: Invoice) -> list[str | None]:
    if invoice.settled is None:
        return [invoice.due.isoformat(), None, invoice.number, str(invoice.left)]
    return [invoice.due.isoformat(), invoice.settled.isoformat()]


def _invoice_from_json(
    due: str, settled: str | None, number: str = "", left: str = "0.00"
) -> Invoice:
    paid = date.fromisoformat(settled) if settled else None
    return Invoice(date.fromisoformat(due), paid, number, Decimal(left))


def gaps_between(days: Iterable[date]) -> tuple[int, ...]:
    """Return the days between consecutive days, which may be in any order and repeat."""
    return tuple((b - a).days for a, b in pairwise(sorted(set(days))))
