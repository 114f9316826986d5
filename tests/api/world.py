"""A small world of tenant A's records, and everybody who may knock at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from khaacho.actors import SYSTEM
from khaacho.enums import Role
from khaacho.models import User
from monitoring import services as monitoring
from monitoring.enums import ReportFormat, ReportKind
from monitoring.models import Report
from orders.models import Order
from payments import scores
from payments import services as payments
from payments.enums import PaymentMethod
from tests.factories import (
    advance,
    make_employee,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_user,
    make_vendor,
)


@dataclass
class World:
    """Tenant A's records, who knocks, and what only A's own may ever read."""

    people: dict[str, User | None]
    ids: dict[str, int]
    shop_only: list[str]
    vendor_only: list[str]
    elsewhere: list[str]

    def secrets(self, who: str) -> list[str]:
        """Return what must not be in any answer to this person."""
        return {
            "retailer_a": self.vendor_only,
            "vendor_a": self.elsewhere,
            "operator": [],
            "admin": [],
        }.get(who, self.shop_only + self.vendor_only + self.elsewhere)


def make_world() -> World:
    shop, rival = make_retailer(), make_retailer()
    wholesaler, competitor = make_vendor(), make_vendor()
    User.objects.filter(pk=shop.user_id).update(name="Marker Owner A", email="owner-a@example.com")
    User.objects.filter(pk=wholesaler.user_id).update(name="Marker Seller A")
    type(shop).objects.filter(pk=shop.pk).update(
        shop_name="Marker Shop A", address="Marker Street 1", pan_number="600000001"
    )
    offer = make_offer(wholesaler, make_product(max_quantity=5000), stock=7345, price=17)
    shop.refresh_from_db()
    order = make_order(shop, offer, quantity=3)
    Order.objects.filter(pk=order.pk).update(notes="Marker note A")
    order = advance(order, "DELIVERED")
    payment = _pay(order, "41.00", "Marker receipt A")
    other = advance(make_order(shop, make_offer(competitor, price=23)), "DELIVERED")
    Order.objects.filter(pk=other.pk).update(notes="Marker note AB")
    _pay(other, "19.00", "Marker receipt AB")
    scores.rescore(retailer_ids=[shop.pk])
    own = [shop.code, "Marker Shop A", "Marker Owner A", shop.user.phone, "600000001"]
    deal = [order.order_number, order.invoice_number, payment.payment_number, "Marker receipt A"]
    entries = [e.entry_number for e in (order.ledger_entry, payment.ledger_entry)]
    stranger = make_vendor()
    return World(
        people={
            "nobody": None,
            "retailer_a": shop.user,
            "retailer_b": rival.user,
            "vendor_a": wholesaler.user,
            "vendor_b": stranger.user,
            "operator": make_employee(),
            "admin": make_user(Role.ADMIN, is_superuser=True),
        },
        ids={
            "product_id": offer.product_id,
            "vendor_id": wholesaler.pk,
            "offer_id": offer.pk,
            "order_id": order.pk,
            "payment_id": payment.pk,
            "report_id": _report(shop.pk).pk,
        },
        shop_only=[
            *own,
            *deal,
            *entries,
            "Marker note A",
            "Marker Street 1",
            "owner-a@example.com",
        ],
        vendor_only=[wholesaler.user.phone],
        elsewhere=[other.order_number, other.ledger_entry.entry_number, "Marker receipt AB"],
    )


def _report(retailer_id: int) -> Report:
    return monitoring.request_report(
        kind=ReportKind.STATEMENT,
        form=ReportFormat.PDF,
        given={"retailer_id": retailer_id},
        actor=SYSTEM,
    )


def _pay(order: Order, amount: str, reference: str) -> Any:
    return payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal(amount),
        method=PaymentMethod.CASH,
        reference=reference,
        actor=SYSTEM,
    )


@contextmanager
def standing_world(blocker: Any) -> Iterator[World]:
    """Make the world once for a module's tests, in a transaction that they all nest in."""
    with blocker.unblock(), transaction.atomic(), connection.cursor() as cursor:
        # requests may be generated for longer than an idle transaction may stand
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield make_world()
        transaction.set_rollback(True)
