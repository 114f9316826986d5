"""Statements that bypass Django, as the application's own database role: PostgreSQL refuses them all."""

import re
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from credit import services as credit
from credit.exceptions import CreditLimitExceeded
from credit.models import CreditAccount
from khaacho.actors import SYSTEM
from orders import services as orders
from orders.models import Order, OrderRefusal
from payments import services as payments
from payments.enums import PaymentMethod
from tests.factories import (
    advance,
    make_actor,
    make_offer,
    make_order,
    make_product,
    make_retailer,
)

BLOCKS = re.findall(
    r"^-- name: (.+?)\n(.+?;)\n(?=\n|\Z)",
    Path(__file__).with_name("redteam.sql").read_text() + "\n",
    re.DOTALL | re.MULTILINE,
)
REFUSALS = ("23", "P0001")  # integrity violations and a trigger's own word


@pytest.fixture
def world(db):
    """A small trade in which every statement of redteam.sql finds its rows."""
    shop, other = make_retailer(credit_limit=1000), make_retailer(credit_limit=1000)
    offer = make_offer(product=make_product(tax_rate=13), price=Decimal("33.35"), stock=100)
    make_offer(offer.vendor, price=5)
    make_offer(product=offer.product, price=30)
    for note in ("placed", "pending", "accepted", "delivered", "cancelled"):
        order = make_order(shop, offer)
        Order.objects.filter(pk=order.pk).update(notes=note)
        if note == "cancelled":
            orders.cancel_order(order_id=order.pk, reason="changed my mind", actor=SYSTEM)
        elif note != "placed":
            advance(order, note.upper())
    pay(shop, offer, "10.00", PaymentMethod.CASH)
    pay(shop, offer, "5.00", PaymentMethod.MOBILE_MONEY, transaction_id="TXN-1")
    cheque = pay(shop, offer, "7.00", PaymentMethod.CHEQUE)
    payments.reverse_payment(payment_id=cheque.pk, reason="no funds", bounced=True, actor=SYSTEM)
    officer = make_actor()
    credit.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(900_000), reason="grows", actor=officer
    )
    CreditAccount.objects.update(credit_limit=500)
    advance(make_order(other, offer), "DELIVERED")
    approve_an_excess(other, offer, officer)
    later = make_order(shop, offer)
    Order.objects.filter(pk=later.pk).update(notes="later")
    advance(later, "DELIVERED")
    with connection.cursor() as cursor:  # nothing may be pending when a statement is tried
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def pay(shop, offer, amount, method, **fields):
    return payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=Decimal(amount),
        method=method,
        actor=SYSTEM,
        **fields,
    )


def approve_an_excess(shop, offer, officer):
    try:
        with transaction.atomic():
            make_order(shop, offer, quantity=40)
    except CreditLimitExceeded as refusal:
        refusal.after_rollback()
    orders.approve_refusal(
        refusal_id=OrderRefusal.objects.get().pk, reason="festival", actor=officer
    )


def test_there_are_enough_of_them():
    assert len(BLOCKS) >= 80
    assert len({name for name, _ in BLOCKS}) == len(BLOCKS)


def test_each_is_refused(world, subtests):
    for name, statement in BLOCKS:
        with subtests.test(name):
            refuse(statement)


def refuse(statement):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        execute(statement)
    cause = refusal.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert cause.sqlstate.startswith(REFUSALS)


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount != 0, "the statement found nothing to harm"
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
