"""Sixteen at once on the same few products, over HTTP: no deadlock, nothing sold twice; and crashes."""

import random

import pytest
from django.db import connection

from credit.models import CreditAccount, Retailer
from khaacho.actors import SYSTEM
from khaacho.models import IdempotencyKey, Job
from monitoring.invariants import run_invariants
from orders import services
from orders.models import Order, OrderItem, OrderRefusal, OrderStatusLog
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.trade import Caller
from tests.factories import STEPS, make_offer, make_order, make_retailer, make_vendor
from tests.races import race
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 16


@pytest.fixture(autouse=True)
def _invariants_hold(transactional_db):
    yield
    assert [result.name for result in run_invariants() if result.violations] == []


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def order_body(offers, quantity=1):
    items = [{"product_id": offer.product_id, "quantity": quantity} for offer in offers]
    return {"vendor_id": offers[0].vendor_id, "payment_terms": "CREDIT", "items": items}


def test_sixteen_clients_on_hot_products_never_deadlock_nor_oversell():
    vendor = make_vendor()
    hot = [make_offer(vendor, price=1, stock=60) for _ in range(4)]
    cold = [make_offer(vendor, price=1, stock=1000) for _ in range(12)]
    shops = [make_retailer() for _ in range(THREADS)]
    before, answers = deadlocks(), []

    def client(number):
        choice, caller = random.Random(number), Caller(shops[number].user)
        for _ in range(12):
            offers = choice.sample(hot, 3) + choice.sample(cold, 3)
            offers.sort(key=lambda offer: offer.pk, reverse=bool(number % 2))
            answers.append(caller.post("orders/", order_body(offers)).json())

    outcomes = race(*(lambda n=n: client(n) for n in range(THREADS)))

    assert outcomes == {"ok": THREADS}
    assert deadlocks() == before
    placed = [answer for answer in answers if "order_number" in answer]
    assert {a["code"] for a in answers if "code" in a} == {"insufficient_stock"}
    assert len(placed) == Order.objects.count() == IdempotencyKey.objects.count()
    sold = {offer.pk: 0 for offer in hot + cold}
    for offer_id, quantity in OrderItem.objects.values_list("offer_id", "quantity"):
        sold[offer_id] += quantity
    assert dict(VendorProduct.objects.values_list("pk", "reserved")) == sold
    assert all(sold[offer.pk] <= 60 for offer in hot)
    assert sum(sold[offer.pk] for offer in hot) >= 4 * 60 - 3 * len(hot)


def test_every_verb_at_once_on_the_same_rows_never_deadlocks():
    """Placing inserts its order before it locks shop, account and offers; the others lock theirs first."""
    vendor = make_vendor()
    offers = [make_offer(vendor, price=1, stock=5000) for _ in range(4)]
    shops = [make_retailer() for _ in range(2)]
    before = deadlocks()

    def walk(number):
        choice, shop = random.Random(number), shops[number % 2]
        for turn in range(4):
            lines = offers if (number + turn) % 2 else offers[::-1]
            order = make_order(shop, *lines)
            if choice.random() < 0.3:
                services.cancel_order(order_id=order.pk, reason="no", actor=SYSTEM)
                continue
            for step in list(STEPS.values())[:6]:
                step(order)
            payments.record_payment(
                retailer_id=shop.pk,
                vendor_id=vendor.pk,
                amount=order.total + turn,
                method=PaymentMethod.CASH,
                actor=SYSTEM,
            )
            payments.apply_advances(retailer_id=shop.pk, vendor_id=vendor.pk)

    outcomes = race(*(lambda n=n: walk(n) for n in range(THREADS)))

    assert outcomes == {"ok": THREADS}
    assert deadlocks() == before


STATEMENTS = ["idempotency_keys (", "nextval('orders_id_seq')", "UPDATE retailers", "INTO orders"]
STATEMENTS += ["UPDATE vendor_products", "UPDATE idempotency_keys"]


class CrashError(Exception):
    """The process dies here."""


@pytest.mark.parametrize("after", STATEMENTS)
def test_a_crash_after_any_statement_leaves_nothing(after):
    shop, offer = make_retailer(), make_offer()
    jobs = Job.objects.count()
    crashed = []

    def crash(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if after in sql and not crashed:
            crashed.append(sql)
            raise CrashError
        return result

    caller, request = Caller(shop.user), order_body([offer])
    caller.client.raise_request_exception = False
    with connection.execute_wrapper(crash):
        answer = caller.post("orders/", request, key="k")

    assert (answer.status_code, len(crashed)) == (500, 1)
    assert Job.objects.count() == jobs
    for model in (Order, OrderItem, OrderStatusLog, IdempotencyKey, CreditAccount, OrderRefusal):
        assert not model.objects.exists()
    offer.refresh_from_db()
    assert (offer.reserved, Retailer.objects.get().reserved_credit) == (0, 0)
    assert caller.post("orders/", request, key="k").status_code == 201
