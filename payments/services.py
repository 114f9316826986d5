"""Recording and reversing payments: payment, allocations, ledger and orders in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Case, DecimalField, F, Value, When
from django.db.models.functions import Now

from credit import services as credit
from credit import shown as credit_shown
from credit.enums import EntryType
from credit.models import CreditAccount, Retailer
from khaacho import events
from khaacho.actors import SYSTEM, Actor, act, require_staff, require_tenant
from khaacho.enums import Role
from khaacho.exceptions import Forbidden, Invalid, NotFound
from khaacho.money import ZERO
from orders import services as orders
from orders.models import Order
from payments.enums import PaymentMethod, PaymentState
from payments.events import PaymentRecorded, PaymentReversed
from payments.exceptions import AllocationInvalid, DuplicateTransaction, NotReversible
from payments.models import Payment, PaymentAllocation
from vendors.models import Vendor

MAX_AMOUNT = Decimal("999999999999.99")


@dataclass(frozen=True)
class Allocation:
    """A part of a payment, in NPR, for one order."""

    order_id: int
    amount: Decimal


@transaction.atomic
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
    """Record `amount` NPR received from a retailer for a vendor.

    Pays the orders named, then the oldest dues; the rest is an advance on the account. Locks the
    account's owing orders in id order, then retailer and account. Raises Invalid, NotFound,
    AllocationInvalid, DuplicateTransaction.
    """
    if actor.role == Role.RETAILER:
        raise Forbidden("The vendor or staff record payments.")
    if not 0 < amount <= MAX_AMOUNT:
        raise Invalid(errors={"amount": ["An amount is positive."]})
    act(actor)
    require_tenant(actor, vendor_id=vendor_id)
    account_id = _account(retailer_id, vendor_id, actor)
    payment = _insert(
        account_id, retailer_id, vendor_id, amount, method, actor, reference, transaction_id
    )
    owing = lock_owing(retailer_id=retailer_id, vendor_id=vendor_id, named=allocations)
    shares = divide(amount, owing, allocations)
    entry = _post(payment, actor)
    Payment.objects.filter(pk=payment.pk).update(
        payment_status=PaymentState.PROCESSED, ledger_entry_id=entry.id
    )
    _allocate({payment.pk: shares})
    events.publish(PaymentRecorded(payment_id=payment.pk))
    credit_shown.credit_changed(retailer_id)
    payment.refresh_from_db()
    return payment


def _account(retailer_id: int, vendor_id: int, actor: Actor) -> int:
    """Return the pair's account; a vendor has one only with its own customers. Raises NotFound."""
    if not actor.is_staff:
        own = CreditAccount.objects.filter(retailer_id=retailer_id, vendor_id=vendor_id)
        found = own.values_list("pk", flat=True).first()
        if found is None:
            raise NotFound("There is no such customer.")
        return found
    if not Retailer.objects.filter(pk=retailer_id).exists():
        raise Invalid(errors={"retailer_id": ["There is no such retailer."]})
    if not Vendor.objects.filter(pk=vendor_id).exists():
        raise Invalid(errors={"vendor_id": ["There is no such vendor."]})
    return credit.open_account(retailer_id=retailer_id, vendor_id=vendor_id)


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
    if (
        transaction_id
        and Payment.objects.filter(method=method, transaction_id=transaction_id).exists()
    ):
        raise DuplicateTransaction
    try:
        with transaction.atomic():
            return Payment.objects.create(
                account_id=account_id,
                retailer_id=retailer_id,
                vendor_id=vendor_id,
                amount=amount,
                method=method,
                reference=reference[:80],
                transaction_id=transaction_id or None,
                received_by_id=actor.user_id,
            )
    except IntegrityError as error:  # the constraint is the judge between two at once
        raise DuplicateTransaction from error


def _post(payment: Payment, actor: Actor) -> credit.Entry:
    return credit.post_entry(
        account_id=payment.account_id,
        kind=EntryType.PAYMENT_CREDIT,
        amount=-payment.amount,
        key=f"payment:{payment.pk}:credit",
        reference=payment.payment_number,
        actor=actor,
    )


def lock_owing(
    *, retailer_id: int, vendor_id: int, named: Sequence[Allocation] = ()
) -> list[Order]:
    """Return the pair's owing orders and those named, locked in id order, oldest due first.

    Raises AllocationInvalid when a named order is not the pair's.
    """
    pair = Order.objects.filter(retailer_id=retailer_id, vendor_id=vendor_id)
    ids = set(pair.owing().values_list("pk", flat=True))
    wanted = {share.order_id for share in named}
    if strangers := wanted - set(pair.filter(pk__in=wanted).values_list("pk", flat=True)):
        raise AllocationInvalid(
            "An order named is not this retailer's with this vendor.", order_ids=sorted(strangers)
        )
    locked = orders.lock_orders(ids | wanted)
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


def _allocate(shares_by_payment: Mapping[int, Mapping[int, Decimal]]) -> None:
    """Write allocations and tell payments and orders; a fixed number of statements."""
    rows = [
        PaymentAllocation(payment_id=payment_id, order_id=order_id, amount=part)
        for payment_id, shares in shares_by_payment.items()
        for order_id, part in shares.items()
    ]
    if not rows:
        return
    PaymentAllocation.objects.bulk_create(rows)
    used = {pk: sum(shares.values(), ZERO) for pk, shares in shares_by_payment.items()}
    Payment.objects.filter(pk__in=used).update(
        allocated_amount=F("allocated_amount")
        + Case(
            *(When(pk=pk, then=Value(part)) for pk, part in used.items()),
            output_field=DecimalField(),
        )
    )
    totals: dict[int, Decimal] = {}
    for row in rows:
        totals[row.order_id] = totals.get(row.order_id, ZERO) + row.amount
    orders.settle(totals)


@transaction.atomic
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
    credit_shown.credit_changed(payment.retailer_id)
    payment.refresh_from_db()
    return payment


@transaction.atomic
def apply_advances(*, retailer_id: int, vendor_id: int) -> Decimal:
    """Pay the pair's owing orders, oldest due first, from advances, oldest first; return NPR used."""
    act(SYSTEM)
    account = CreditAccount.objects.filter(retailer_id=retailer_id, vendor_id=vendor_id).first()
    if account is None:
        return ZERO
    advances = list(
        Payment.objects.select_for_update(of=("self",), no_key=True)
        .filter(
            account=account,
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
    shares: dict[int, dict[int, Decimal]] = {}
    for payment in advances:
        taken = set(payment.allocations.values_list("order_id", flat=True))
        payable = {pk: left for pk, left in due.items() if pk not in taken}
        shares[payment.pk] = _oldest_first(payment.amount - payment.allocated_amount, payable)
        for pk, part in shares[payment.pk].items():
            due[pk] -= part
    _allocate(shares)
    credit_shown.credit_changed(retailer_id)
    return sum((part for each in shares.values() for part in each.values()), ZERO)
