"""Questions about orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from credit import selectors as credit
from credit.models import CreditAccount, Retailer
from credit.scoring import band
from khaacho import sql
from khaacho.actors import ACTING, Actor
from khaacho.money import ZERO, LineAmounts, line_amounts
from orders.enums import PaymentStatus
from orders.models import Order, OrderItem
from orders.routing import Candidate


@dataclass(frozen=True)
class OfferedLine:
    """One wanted product as one vendor offers it now; prices in NPR without VAT, quantities in packs.

    Made of one row of OFFERED.
    """

    product_id: int
    offer_id: int
    vendor_id: int
    product_name: str
    sku: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal
    available: int
    min_quantity: int
    max_quantity: int

    @cached_property
    def amounts(self) -> LineAmounts:
        return line_amounts(self.quantity, self.unit_price, self.tax_rate)


@dataclass(frozen=True)
class Basket:
    """All wanted lines at one vendor, with their sums in NPR."""

    vendor_id: int
    lines: tuple[OfferedLine, ...]

    @cached_property
    def subtotal(self) -> Decimal:
        return sum((line.amounts.net for line in self.lines), ZERO)

    @cached_property
    def tax_amount(self) -> Decimal:
        return sum((line.amounts.tax for line in self.lines), ZERO)

    @cached_property
    def total(self) -> Decimal:
        return self.subtotal + self.tax_amount

    @cached_property
    def coverage(self) -> float:
        """The smallest of available / quantity over the lines."""
        return min(line.available / line.quantity for line in self.lines)


OFFERED = (
    "SELECT w.product_id, o.id AS offer_id, o.vendor_id, p.name, p.sku, w.quantity, o.vendor_price,"
    " p.tax_rate, o.stock - o.reserved AS available, p.min_quantity, p.max_quantity"
    " FROM unnest(%(products)s::bigint[], %(quantities)s::int[]) AS w (product_id, quantity)"
    " JOIN products p ON p.id = w.product_id AND p.is_active AND p.deleted_at IS NULL"
    " JOIN vendor_products o ON o.product_id = p.id AND o.is_available AND o.deleted_at IS NULL"
    " JOIN vendors v ON v.id = o.vendor_id AND v.is_approved AND NOT v.is_blocked AND v.deleted_at IS NULL"
)

ONLY_VENDOR = " WHERE o.vendor_id = %(vendor)s"


def baskets(quantities: Mapping[int, int], *, vendor_id: int | None = None) -> list[Basket]:
    """Return, per approved vendor that offers any wanted product (id → packs), what it offers.

    Lines come in product order. One statement.
    """
    only = ONLY_VENDOR if vendor_id is not None else ""
    return _by_vendor(
        sql.fetch(
            f"{OFFERED}{only} ORDER BY o.vendor_id, w.product_id",
            {**_wanted(quantities), "vendor": vendor_id},
        )
    )


def _wanted(quantities: Mapping[int, int]) -> dict[str, list[int]]:
    products = sorted(quantities)
    return {"products": products, "quantities": [quantities[p] for p in products]}


def _by_vendor(rows: Iterable[Sequence[Any]]) -> list[Basket]:
    by_vendor: dict[int, list[OfferedLine]] = {}
    for row in rows:
        line = OfferedLine(*row)
        by_vendor.setdefault(line.vendor_id, []).append(line)
    return [Basket(vendor, tuple(lines)) for vendor, lines in by_vendor.items()]


def unknown_products(product_ids: Sequence[int]) -> set[int]:
    """Those ids that no active product has."""
    rows = sql.fetch(
        "SELECT id FROM products WHERE id = ANY(%s) AND is_active AND deleted_at IS NULL",
        [list(product_ids)],
    )
    return set(product_ids) - {row[0] for row in rows}


@dataclass(frozen=True)
class Standing:
    """A retailer's standing towards one vendor. Amounts are NPR; `account_id` None: no account yet."""

    is_approved: bool
    is_blocked: bool
    blocked_reason: str
    platform_limit: Decimal
    platform_exposure: Decimal
    has_late_due: bool
    account_id: int | None
    account_limit: Decimal | None
    account_exposure: Decimal
    account_frozen: bool

    @property
    def available(self) -> Decimal:
        """Credit left for an order from this vendor, never negative."""
        free = self.platform_limit - self.platform_exposure
        if self.account_limit is not None:
            free = min(free, self.account_limit - self.account_exposure)
        return max(free, ZERO)


SHOP = (
    "SELECT r.is_approved, r.is_blocked, r.blocked_reason, r.credit_limit,"
    " r.outstanding_debt + r.reserved_credit AS platform_exposure,"
    " EXISTS (SELECT FROM orders o WHERE o.retailer_id = r.id AND o.due_date IS NOT NULL"
    " AND o.due_amount > 0"
    " AND o.due_date < (now() AT TIME ZONE 'Asia/Kathmandu')::date - %(hold)s::int) AS has_late_due"
    " FROM retailers r WHERE r.id = %(retailer)s AND r.deleted_at IS NULL"
)
ACCOUNT = "a.id, a.credit_limit, coalesce(a.balance + a.reserved, 0), coalesce(a.is_frozen, false)"


def standing(*, retailer_id: int, vendor_id: int | None, hold_days: int) -> Standing | None:
    """Return the retailer's standing, or None when there is no such retailer. One statement.

    `has_late_due`: an invoice is more than `hold_days` days past its due date (Kathmandu's calendar).
    """
    row = sql.fetch_one(
        f"WITH shop AS ({SHOP}) SELECT shop.*, {ACCOUNT} FROM shop LEFT JOIN credit_accounts a"
        " ON a.retailer_id = %(retailer)s AND a.vendor_id = %(vendor)s",
        {"retailer": retailer_id, "vendor": vendor_id, "hold": hold_days},
    )
    return Standing(*row) if row else None


@dataclass(frozen=True)
class Prospect:
    """All that decides an order, as one statement read it: nothing is locked, nothing is certain.

    `order_id` is the id that the order will have. `accounts` are by vendor, of baskets alone.
    """

    is_active: bool
    order_id: int
    shop: Sequence[Any] | None
    baskets: Sequence[Basket]
    accounts: Mapping[int, Sequence[Any]]

    def standing(self, vendor_id: int) -> Standing | None:
        """Return the retailer's standing towards a basket's vendor, or None: no such retailer."""
        return Standing(*self.shop, *self.accounts[vendor_id]) if self.shop else None

    def has_account(self, vendor_id: int) -> bool:
        return self.accounts[vendor_id][0] is not None


PROSPECT = (
    f"WITH {ACTING}, fresh AS MATERIALIZED (SELECT nextval('orders_id_seq') AS id),"
    f" shop AS MATERIALIZED ({SHOP}), offered AS ({OFFERED}{{only}})"
    f" SELECT acting.is_active, fresh.id, shop.*, {ACCOUNT}, offered.* FROM acting CROSS JOIN fresh"
    " LEFT JOIN shop ON true LEFT JOIN offered ON true LEFT JOIN credit_accounts a"
    " ON a.retailer_id = %(retailer)s AND a.vendor_id = offered.vendor_id"
    " ORDER BY offered.vendor_id, offered.product_id"
)
PROSPECT_OF_ANY, PROSPECT_OF_VENDOR = PROSPECT.format(only=""), PROSPECT.format(only=ONLY_VENDOR)
SHOP_AT, ACCOUNT_AT, LINE_AT = 2, 8, 12  # where the parts of a row begin


def prospect(
    quantities: Mapping[int, int],
    *,
    retailer_id: int,
    vendor_id: int | None,
    hold_days: int,
    acting: Mapping[str, str | int | None],
) -> Prospect:
    """Name the actor and return what decides an order of `quantities` (product id → packs).

    See `baskets` and `standing`. One statement, with a line for each offered product.
    """
    statement = PROSPECT_OF_VENDOR if vendor_id is not None else PROSPECT_OF_ANY
    rows = sql.fetch(
        statement,
        {
            **_wanted(quantities),
            **acting,
            "retailer": retailer_id,
            "vendor": vendor_id,
            "hold": hold_days,
        },
    )
    is_active, order_id, *_ = rows[0]
    shop = rows[0][SHOP_AT:ACCOUNT_AT]
    lines = [row for row in rows if row[LINE_AT] is not None]
    return Prospect(
        is_active,
        order_id,
        shop if shop[0] is not None else None,
        _by_vendor(row[LINE_AT:] for row in lines),
        {row[LINE_AT + 2]: row[ACCOUNT_AT:LINE_AT] for row in lines},
    )


CANDIDATES = (
    "WITH wanted AS (SELECT i.product_id, i.quantity, i.offer_id FROM order_items i"
    " WHERE i.order_id = %(order)s),"
    " served AS (SELECT o.vendor_id, sum(round(w.quantity * o.vendor_price, 2)"
    " + round(round(w.quantity * o.vendor_price, 2) * p.tax_rate / 100, 2)) AS total,"
    " min((o.stock - o.reserved + CASE WHEN o.id = w.offer_id THEN w.quantity ELSE 0 END)::float"
    " / w.quantity) AS coverage"
    " FROM wanted w JOIN products p ON p.id = w.product_id AND p.is_active AND p.deleted_at IS NULL"
    " JOIN vendor_products o ON o.product_id = w.product_id AND o.is_available AND o.deleted_at IS NULL"
    " GROUP BY o.vendor_id HAVING count(*) = (SELECT count(*) FROM wanted))"
    " SELECT s.vendor_id, s.total, s.coverage, v.municipality, v.district, v.province,"
    " (SELECT count(*) FROM orders x WHERE x.vendor_id = v.id"
    " AND x.status IN ('PENDING', 'ACCEPTED', 'PACKING', 'DISPATCHED', 'OUT_FOR_DELIVERY')),"
    " v.orders_accepted::float / nullif(v.orders_offered, 0),"
    " v.orders_delivered::float / nullif(v.orders_accepted, 0),"
    " v.orders_cancelled::float / nullif(v.orders_accepted, 0),"
    " v.fulfilment_hours::float"
    " FROM served s JOIN vendors v ON v.id = s.vendor_id"
    " AND v.is_approved AND NOT v.is_blocked AND v.deleted_at IS NULL"
    " JOIN orders this ON this.id = %(order)s"
    " LEFT JOIN credit_accounts a ON a.retailer_id = this.retailer_id AND a.vendor_id = v.id"
    " WHERE s.coverage >= 1 AND s.total <= this.agreed_total"
    " AND (this.payment_terms = 'CASH' OR v.id = this.vendor_id OR a.id IS NULL"
    " OR (NOT a.is_frozen AND (a.credit_limit IS NULL"
    " OR a.balance + a.reserved + s.total <= a.credit_limit)))"
    " AND NOT EXISTS (SELECT FROM vendor_order_acceptances q"
    " WHERE q.order_id = %(order)s AND q.vendor_id = v.id)"
)


def candidates(order_id: int) -> list[Candidate]:
    """Vendors that could take the order as it stands and were not asked yet. One statement.

    They are approved, offer every line in the quantity, at no higher total than was agreed, and
    their account with the retailer has room for it.
    """
    names = (
        "vendor_id",
        "total",
        "coverage",
        "municipality",
        "district",
        "province",
        "open_orders",
        "acceptance_rate",
        "completion_rate",
        "cancellation_rate",
        "fulfilment_hours",
    )
    return [
        Candidate(**dict(zip(names, row, strict=True)))
        for row in sql.fetch(CANDIDATES, {"order": order_id})
    ]


TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"


def shown(actor: Actor) -> QuerySet[Order]:
    """Orders that the actor may see, with all that an order's page shows. Two queries."""
    orders = Order.objects.for_user(actor).select_related("retailer", "vendor")
    return orders.prefetch_related(Prefetch("items", OrderItem.objects.order_by("id")))


@dataclass(frozen=True)
class Overdue:
    """What a shop owes one vendor past its due date, in NPR, and how late the oldest of it is."""

    amount: Decimal
    days_late: int


def overdue_by_vendor(retailer_id: int) -> dict[int, Overdue]:
    """Return what a retailer owes past its due date, by vendor. One statement."""
    rows = sql.fetch(
        f"SELECT vendor_id, sum(due_amount), {TODAY} - min(due_date) FROM orders"
        " WHERE retailer_id = %s AND due_amount > 0"
        f" AND due_date < {TODAY} GROUP BY vendor_id",
        [retailer_id],
    )
    return {row[0]: Overdue(*row[1:]) for row in rows}


def hold_reason(days_late: int) -> str:
    """Say why new credit is held when the oldest due is so late; nothing when it is not."""
    if days_late <= settings.CREDIT_HOLD_DAYS_LATE:
        return ""
    return (
        f"The oldest due is {days_late} days late, more than {settings.CREDIT_HOLD_DAYS_LATE}:"
        " new orders on credit are held, cash is welcome."
    )


def on_hold(retailers: QuerySet[Retailer]) -> QuerySet[Retailer]:
    """Those whose new credit is held: a due is more than settings.CREDIT_HOLD_DAYS_LATE days late.

    The day after its due date a due is marked OVERDUE, which an index holds.
    """
    last = timezone.localdate() - timedelta(days=settings.CREDIT_HOLD_DAYS_LATE)
    late = Order.objects.filter(
        payment_status=PaymentStatus.OVERDUE, due_amount__gt=0, due_date__lt=last
    )
    return retailers.filter(pk__in=late.values("retailer"))


@dataclass(frozen=True)
class CreditSummary:
    """A retailer's credit with the platform and with each vendor; amounts in NPR."""

    retailer: Retailer
    accounts: tuple[CreditAccount, ...]
    overdue_by_vendor: Mapping[int, Overdue]

    @property
    def band(self) -> str:
        return band(self.retailer.credit_score)

    @property
    def available(self) -> Decimal:
        shop = self.retailer
        return credit.available(shop.credit_limit, shop.outstanding_debt, shop.reserved_credit)

    @property
    def overdue(self) -> Decimal:
        return sum((due.amount for due in self.overdue_by_vendor.values()), ZERO)

    @property
    def hold_reason(self) -> str:
        """Why new orders on credit are refused, in words; nothing when they are not."""
        late = [due.days_late for due in self.overdue_by_vendor.values()]
        return hold_reason(max(late, default=0))

    @property
    def on_hold(self) -> bool:
        return bool(self.hold_reason)


def credit_summary(actor: Actor) -> CreditSummary:
    """Return the acting retailer's credit. Three queries."""
    retailer = Retailer.objects.get(pk=actor.retailer_id or 0)
    accounts = credit.accounts(actor).filter(retailer=retailer)
    return CreditSummary(retailer, tuple(accounts), overdue_by_vendor(retailer.pk))


@dataclass(frozen=True)
class Ageing:
    """Open amounts (NPR) by days since their due date; `overdue` is of yesterday and before."""

    not_due: Decimal = ZERO
    days_0_30: Decimal = ZERO
    days_31_60: Decimal = ZERO
    days_61_90: Decimal = ZERO
    days_over_90: Decimal = ZERO
    overdue: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All open amounts; less the unapplied credit this is the account's balance."""
        aged = (self.days_0_30, self.days_31_60, self.days_61_90, self.days_over_90)
        return sum(aged, self.not_due)


# Added up by due date first: few dates are put into bands, where there may be a million orders.
AGEING = (
    "SELECT retailer_id,"
    " coalesce(sum(due) FILTER (WHERE late < 0), 0),"
    " coalesce(sum(due) FILTER (WHERE late BETWEEN 0 AND 30), 0),"
    " coalesce(sum(due) FILTER (WHERE late BETWEEN 31 AND 60), 0),"
    " coalesce(sum(due) FILTER (WHERE late BETWEEN 61 AND 90), 0),"
    " coalesce(sum(due) FILTER (WHERE late > 90), 0),"
    " coalesce(sum(due) FILTER (WHERE late > 0), 0)"
    f" FROM (SELECT retailer_id, sum(due_amount) AS due, {TODAY} - due_date AS late FROM orders"
    " WHERE vendor_id = %(vendor)s AND retailer_id = ANY(%(retailers)s)"
    " AND due_date IS NOT NULL AND due_amount > 0 GROUP BY retailer_id, due_date) AS open"
    " GROUP BY retailer_id"
)


def ageing(*, vendor_id: int, retailer_ids: Sequence[int]) -> dict[int, Ageing]:
    """Return the ageing of what each retailer owes a vendor; none owed, none returned. One statement."""
    rows = sql.fetch(AGEING, {"vendor": vendor_id, "retailers": list(retailer_ids)})
    return {row[0]: Ageing(*row[1:]) for row in rows}


def receivables(actor: Actor) -> QuerySet[CreditAccount]:
    """Accounts of the acting vendor on which anything is owed, either way."""
    owing = Order.objects.owing().filter(
        retailer_id=OuterRef("retailer_id"), vendor_id=OuterRef("vendor_id")
    )
    return credit.accounts(actor).filter(~Q(balance=0) | Exists(owing))
