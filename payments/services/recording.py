"""Recording and reversing payments: payment, allocations, ledger and orders in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F
from django.db.models.functions import Now

from credit import services as credit
from credit import shown as credit_shown
from credit.enums import EntryType
from khaacho import events, jobs, sql
from khaacho.actors import (
    ACTING,
    SYSTEM,
    Actor,
    act,
    acting,
    require_active,
    require_staff,
    require_tenant,
)
from khaacho.enums import Role
from khaacho.events import jobs_of
from khaacho.exceptions import Forbidden, Invalid, NotFound
from khaacho.money import ZERO
from khaacho.transactions import verb
from orders import services as orders
from orders.models import Order
from payments import pages
from payments.enums import PaymentMethod, PaymentState
from payments.events import PaymentRecorded, PaymentReversed
from payments.exceptions import AllocationInvalid, DuplicateTransaction, NotReversible
from payments.models import Payment, PaymentAllocation

MAX_AMOUNT = Decimal("999999999999.99")


@dataclass(frozen=True)
class Allocation:
    """A part of a payment, in NPR, for one order."""

    order_id: int
    amount: Decimal


@verb
def record_payment(
    *,
    retailer_id: int,
    vendor_id: int,
    amount: Decimal,
    method: PaymentMethod,
    actor: Actor,
    reference: str = "",
    transaction_id: str | None = None,
    allocations: Sequence[Allocation] = (),
) -> Payment:
    """Record `amount` NPR received from a retailer for a vendor; return it with its page.

    Pays the orders named, then the oldest dues; the rest is an advance on the account. Six statements,
    however many orders. Locks the account's owing orders in id order, then retailer and account.
    Raises Invalid, NotFound, AllocationInvalid, DuplicateTransaction.
    """
    if actor.role == Role.RETAILER:
        raise Forbidden("The vendor or staff record payments.")
    if not 0 < amount <= MAX_AMOUNT:
        raise Invalid(errors={"amount": ["An amount is positive."]})
    require_tenant(actor, vendor_id=vendor_id)
    account_id = _account(retailer_id, vendor_id, actor)
    payment = _insert(
        account_id, retailer_id, vendor_id, amount, method, actor, reference, transaction_id
    )
    owing = lock_owing(retailer_id=retailer_id, vendor_id=vendor_id, named=allocations)
    shares = divide(amount, owing, allocations)
    entry = _post(payment, actor)
    orders.settle(shares)
    return _process(payment, entry.id, shares)


ACCOUNT = (
    f"WITH {ACTING} SELECT acting.is_active, a.id, r.id IS NOT NULL, v.id IS NOT NULL"
    " FROM acting LEFT JOIN retailers r ON r.id = %(retailer)s LEFT JOIN vendors v ON v.id = %(vendor)s"
    " LEFT JOIN credit_accounts a ON a.retailer_id = %(retailer)s AND a.vendor_id = %(vendor)s"
)


def _account(retailer_id: int, vendor_id: int, actor: Actor) -> int:
    """Name the actor and return the pair's account; a vendor has one only with its own customers.

    Raises AccountInactive, NotFound, Invalid. Staff may open one, for a second statement.
    """
    row = sql.fetch_one(ACCOUNT, {**acting(actor), "retailer": retailer_id, "vendor": vendor_id})
    assert row is not None
    is_active, account_id, has_retailer, has_vendor = row
    require_active(is_active)
    if account_id is not None:
        return int(account_id)
    if not actor.is_staff:
        raise NotFound("There is no such customer.")
    if not has_retailer:
        raise Invalid(errors={"retailer_id": ["There is no such retailer."]})
    if not has_vendor:
        raise Invalid(errors={"vendor_id": ["There is no such vendor."]})
    return credit.open_account(retailer_id=retailer_id, vendor_id=vendor_id)


# The constraint is the judge, also between two at once: the second waits, then finds nothing inserted.
INSERT = (
    "INSERT INTO payments (account_id, retailer_id, vendor_id, amount, method, reference,"
    " transaction_id, received_by_id) VALUES (%(account)s, %(retailer)s, %(vendor)s, %(amount)s,"
    " %(method)s, %(reference)s, %(transaction_id)s, %(actor)s)"
    f" ON CONFLICT (method, transaction_id) DO NOTHING RETURNING {pages.COLUMNS}"
)


def _insert(
    account_id: int,
    retailer_id: int,
    vendor_id: int,
    amount: Decimal,
    method: PaymentMethod,
    actor: Actor,
    reference: str,
    transaction_id: str | None,
) -> Payment:
    row = sql.fetch_one(
        INSERT,
        {
            "account": account_id,
            "retailer": retailer_id,
            "vendor": vendor_id,
            "amount": amount,
            "method": method,
            "reference": reference[:80],
            "transaction_id": transaction_id or None,
            "actor": actor.user_id,
        },
    )
    if row is None:
        raise DuplicateTransaction
    return Payment.from_db("default", pages.NAMES, row)


def _post(payment: Payment, actor: Actor) -> credit.Entry:
    return credit.post_entry(
        account_id=payment.account_id,
        kind=EntryType.PAYMENT_CREDIT,
        amount=-payment.amount,
        key=f"payment:{payment.pk}:credit",
        reference=payment.payment_number,
        actor=actor,
    )


ALLOCATE = (
    "INSERT INTO payment_allocations (payment_id, order_id, amount)"
    " SELECT * FROM unnest(%(payments)s::bigint[], %(orders)s::bigint[], %(amounts)s::numeric[])"
)
PROCESS = (
    f"WITH al AS ({ALLOCATE} RETURNING *),"
    " p AS (UPDATE payments SET payment_status = 'PROCESSED', ledger_entry_id = %(entry)s,"
    " allocated_amount = (SELECT coalesce(sum(al.amount), 0) FROM al) WHERE id = %(payment)s"
    f" RETURNING *), j AS ({jobs.INSERT_MANY}) "
    + pages.page("p", allocations="al", more="(SELECT array_agg(j.id) FROM j)")
)


def _process(payment: Payment, entry_id: int, shares: Mapping[int, Decimal]) -> Payment:
    """Write the allocations, what the payment is now, and the jobs that follow; return its page."""
    new = jobs_of(PaymentRecorded(payment_id=payment.pk))
    row = sql.fetch_one(
        PROCESS,
        {
            "payments": [payment.pk] * len(shares),
            "orders": list(shares),
            "amounts": list(shares.values()),
            "entry": entry_id,
            "payment": payment.pk,
            **jobs.parameters(new),
        },
    )
    assert row is not None
    jobs.announce(new, row[-1] or ())
    return pages.read(row)


def lock_owing(
    *, retailer_id: int, vendor_id: int, named: Sequence[Allocation] = ()
) -> list[Order]:
    """Return the pair's owing orders and those named, locked in id order, oldest due first.

    One statement. Raises AllocationInvalid when a named order is not the pair's.
    """
    wanted = {share.order_id for share in named}
    locked = orders.lock_owing(retailer_id=retailer_id, vendor_id=vendor_id, also=wanted)
    if strangers := wanted - {order.pk for order in locked}:
        raise AllocationInvalid(
            "An order named is not this retailer's with this vendor.", order_ids=sorted(strangers)
        )
    return sorted(
        (order for order in locked if order.due_date is not None),
        key=lambda order: (order.due_date, order.created_at, order.pk),
    )


def divide(
    amount: Decimal, owing: Iterable[Order], named: Sequence[Allocation] = ()
) -> dict[int, Decimal]:
    """Return order id → NPR: the named orders' parts, or else the oldest dues first.

    What is left over is an advance. Raises AllocationInvalid when parts exceed the payment or a due.
    """
    due = {order.pk: order.due_amount for order in owing}
    if not named:
        return _oldest_first(amount, due)
    shares: dict[int, Decimal] = {}
    for part in named:
        shares[part.order_id] = shares.get(part.order_id, ZERO) + part.amount
    too_large = sorted(pk for pk, part in shares.items() if not 0 < part <= due.get(pk, ZERO))
    if too_large:
        raise AllocationInvalid(
            "An allocation is not covered by what its order has left to pay.", order_ids=too_large
        )
    if sum(shares.values()) > amount:
        raise AllocationInvalid("The allocations exceed the payment.")
    return shares


def _oldest_first(amount: Decimal, due: Mapping[int, Decimal]) -> dict[int, Decimal]:
    shares: dict[int, Decimal] = {}
    for pk, left in due.items():
        part = min(amount, left)
        if part <= 0:
            continue
        shares[pk] = part
        amount -= part
    return shares


ALLOCATE_ADVANCES = (
    f"WITH al AS ({ALLOCATE} RETURNING payment_id, amount)"
    " UPDATE payments p SET allocated_amount = p.allocated_amount + used.amount"
    " FROM (SELECT payment_id, sum(amount) AS amount FROM al GROUP BY payment_id) AS used"
    " WHERE p.id = used.payment_id"
)


def _allocate(shares: Sequence[tuple[int, int, Decimal]]) -> None:
    """Write allocations (payment, order, NPR) and tell payments and orders. Two statements."""
    if not shares:
        return
    payments, order_ids, amounts = map(list, zip(*shares, strict=True))
    sql.execute(ALLOCATE_ADVANCES, {"payments": payments, "orders": order_ids, "amounts": amounts})
    totals: dict[int, Decimal] = {}
    for _, order_id, part in shares:
        totals[order_id] = totals.get(order_id, ZERO) + part
    orders.settle(totals)


@verb
def reverse_payment(
    *, payment_id: int, reason: str, actor: Actor, bounced: bool = False
) -> Payment:
    """Take a processed payment back: mirror entry, allocations reversed, orders open again as due.

    `bounced`: a cheque came back. Locks the payment, its orders in id order, retailer, account.
    Raises Invalid, NotFound, NotReversible.
    """
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    require_staff(actor)
    payment = (
        Payment.objects.select_for_update(of=("self",), no_key=True).filter(pk=payment_id).first()
    )
    if payment is None:
        raise NotFound
    if payment.payment_status != PaymentState.PROCESSED or payment.ledger_entry_id is None:
        raise NotReversible(f"Payment {payment.payment_number} is {payment.payment_status}.")
    if bounced and payment.method != PaymentMethod.CHEQUE:
        raise Invalid(errors={"bounced": ["Only a cheque bounces."]})
    live = PaymentAllocation.objects.filter(payment=payment, reversed_at=None)
    amounts = dict(live.values_list("order_id", "amount"))
    orders.lock_orders(amounts)
    credit.reverse_entry(
        entry_id=payment.ledger_entry_id,
        note=f"{'bounced cheque' if bounced else 'reversed'}: {reason}",
        actor=actor,
    )
    live.update(reversed_at=Now())
    orders.settle({order_id: -part for order_id, part in amounts.items()})
    Payment.objects.filter(pk=payment.pk).update(
        payment_status=PaymentState.REVERSED,
        allocated_amount=0,
        reversed_at=Now(),
        reversal_reason=reason[:300],
        bounced=bounced,
    )
    events.publish(PaymentReversed(payment_id=payment.pk))
    payment.refresh_from_db()
    return payment


@verb
def apply_advances(*, retailer_id: int, vendor_id: int) -> Decimal:
    """Pay the pair's owing orders, oldest due first, from advances, oldest first; return NPR used.

    At most six statements, however many advances and orders.
    """
    act(SYSTEM)
    advances = list(
        Payment.objects.select_for_update(of=("self",), no_key=True)
        .filter(
            account__retailer_id=retailer_id,
            account__vendor_id=vendor_id,
            payment_status=PaymentState.PROCESSED,
            amount__gt=F("allocated_amount"),
        )
        .order_by("pk")
    )
    if not advances:
        return ZERO
    due = {
        order.pk: order.due_amount
        for order in lock_owing(retailer_id=retailer_id, vendor_id=vendor_id)
    }
    taken = PaymentAllocation.objects.filter(payment__in=advances, order__in=due)
    shares = _spread(advances, due, set(taken.values_list("payment_id", "order_id")))
    _allocate(shares)
    credit_shown.credit_changed(retailer_id)  # what is overdue; no entry is posted
    return sum((part for _, _, part in shares), ZERO)


def _spread(
    advances: Iterable[Payment], due: Mapping[int, Decimal], taken: AbstractSet[tuple[int, int]]
) -> list[tuple[int, int, Decimal]]:
    """Return (payment, order, NPR): each advance pays the oldest dues left, never an order twice."""
    left = dict(due)
    shares: list[tuple[int, int, Decimal]] = []
    for payment in advances:
        payable = {pk: amount for pk, amount in left.items() if (payment.pk, pk) not in taken}
        for pk, part in _oldest_first(payment.amount - payment.allocated_amount, payable).items():
            shares.append((payment.pk, pk, part))
            left[pk] -= part
    return shares
