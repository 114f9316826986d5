"""Whatever happens at once: nothing is sold twice, no limit is passed, nobody waits for ever."""

import threading
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection, connections, transaction

from credit.models import CreditAccount, Retailer
from khaacho.actors import SYSTEM
from monitoring.invariants import run_invariants
from orders import services
from orders.enums import OrderStatus, PaymentTerms
from orders.models import InvoiceCounter, Order, OrderRefusal, VendorOrderAcceptance
from payments import services as payments
from payments.enums import PaymentMethod
from payments.models import Payment, PaymentAllocation
from tests.factories import (
    advance,
    make_actor,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
    retailer_actor,
    vendor_actor,
)
from tests.races import crowd, race
from vendors import services as vendors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _invariants_hold(transactional_db):
    yield
    broken = [result.name for result in run_invariants() if result.violations]
    assert broken == []


def test_fifty_orders_for_a_stock_of_ten():
    offer = make_offer(price=10, stock=10)
    shops = [make_retailer(credit_limit=1000) for _ in range(50)]

    outcomes = race(*(lambda shop=shop: make_order(shop, offer) for shop in shops))

    assert outcomes == {"ok": 10, "InsufficientStock": 40}
    offer.refresh_from_db()
    assert (offer.stock, offer.reserved) == (10, 10)
    assert Order.objects.count() == 10


def test_fifty_orders_on_credit_for_ten():
    shop = make_retailer(credit_limit=1000)
    offer = make_offer(price=100, stock=1000)

    outcomes = crowd(lambda: make_order(shop, offer), 50)

    assert outcomes == {"ok": 10, "CreditLimitExceeded": 40}
    shop.refresh_from_db()
    assert (shop.reserved_credit, shop.outstanding_debt) == (Decimal(1000), 0)


def test_fifty_orders_on_an_account_limit_for_ten():
    shop = make_retailer(credit_limit=200_000)
    offer = make_offer(price=100, stock=1000)
    advance(make_order(shop, offer), "PENDING")
    CreditAccount.objects.update(credit_limit=1100)

    outcomes = crowd(lambda: make_order(shop, offer), 50)

    assert outcomes == {"ok": 10, "CreditLimitExceeded": 40}
    assert CreditAccount.objects.get().reserved == Decimal(1100)


def test_two_vendors_at_once_against_the_platform_limit():
    shop = make_retailer(credit_limit=1000)
    offers = [make_offer(price=100, stock=1000) for _ in range(2)]

    outcomes = crowd([lambda o=o: make_order(shop, o) for o in offers], 30)

    assert outcomes == {"ok": 10, "CreditLimitExceeded": 20}
    assert Retailer.objects.get(pk=shop.pk).reserved_credit == Decimal(1000)
    assert sum(a.reserved for a in CreditAccount.objects.all()) == Decimal(1000)


def test_opposite_line_orders_do_not_deadlock():
    vendor = make_vendor()
    offers = [make_offer(vendor, price=1, stock=100_000) for _ in range(6)]
    shops = [make_retailer(credit_limit=100_000) for _ in range(12)]

    def place(shop, lines):
        for _ in range(5):
            make_order(shop, *lines)

    outcomes = race(
        *(
            lambda shop=shop, i=i: place(shop, offers if i % 2 else offers[::-1])
            for i, shop in enumerate(shops)
        )
    )

    assert outcomes == {"ok": 12}
    assert {o.reserved for o in type(offers[0]).objects.all()} == {60}


def test_an_unnamed_order_takes_the_next_vendor_when_the_cheapest_sells_out():
    product = make_product()
    cheap = make_offer(product=product, price=10, stock=5)
    dear = make_offer(product=product, price=11, stock=100)
    shops = [make_retailer(credit_limit=1000) for _ in range(12)]

    outcomes = race(*(lambda s=s: make_order(s, cheap, named=False) for s in shops))

    assert outcomes == {"ok": 12}
    cheap.refresh_from_db()
    dear.refresh_from_db()
    assert (cheap.reserved, dear.reserved) == (5, 7)


def test_a_rejection_and_an_acceptance_have_one_winner():
    product = make_product()
    first, second = (make_offer(product=product, price=10, stock=5) for _ in range(2))
    order = advance(make_order(make_retailer(), first), "PENDING")
    actors = [vendor_actor(offer.vendor) for offer in (first, second)]

    outcomes = race(
        lambda: services.reject_order(order_id=order.pk, reason="closed", actor=actors[0]),
        lambda: services.accept_order(order_id=order.pk, actor=actors[0]),
        lambda: services.accept_order(order_id=order.pk, actor=actors[1]),
        lambda: services.accept_order(order_id=order.pk, actor=SYSTEM),
    )

    order.refresh_from_db()
    assert order.status in (OrderStatus.ACCEPTED, OrderStatus.PENDING)
    answers = VendorOrderAcceptance.objects.filter(order=order).values_list("status", flat=True)
    assert sorted(answers).count("ACCEPTED") == (order.status == OrderStatus.ACCEPTED)
    assert outcomes["ok"] >= 1
    assert set(outcomes) <= {"ok", "IllegalTransition", "NotFound", "Forbidden"}


def test_two_vendors_accept_one_order():
    product = make_product()
    first, second = (make_offer(product=product, price=10, stock=5) for _ in range(2))
    order = advance(make_order(make_retailer(), first), "PENDING")
    VendorOrderAcceptance.objects.filter(order=order).update(deadline="2020-01-01T00:00:00Z")
    services.expire_acceptance(acceptance_id=VendorOrderAcceptance.objects.get().pk)

    outcomes = race(
        *(
            partial(services.accept_order, order_id=order.pk, actor=vendor_actor(offer.vendor))
            for offer in (first, second)
            for _ in range(5)
        )
    )

    assert outcomes == {"ok": 1, "NotFound": 5, "IllegalTransition": 4}
    order.refresh_from_db()
    assert (order.status, order.vendor_id) == (OrderStatus.ACCEPTED, second.vendor_id)


def test_two_payments_of_one_due():
    shop, offer = make_retailer(), make_offer(price=100)
    order = advance(make_order(shop, offer), "DELIVERED")

    outcomes = crowd(
        lambda: payments.record_payment(
            retailer_id=shop.pk,
            vendor_id=offer.vendor_id,
            amount=Decimal(100),
            method=PaymentMethod.CASH,
            actor=SYSTEM,
        ),
        2,
    )

    assert outcomes == {"ok": 2}
    order.refresh_from_db()
    assert (order.paid_amount, order.payment_status) == (Decimal(100), "PAID")
    assert PaymentAllocation.objects.count() == 1
    assert CreditAccount.objects.get().balance == Decimal(-100)


def test_one_external_transaction_is_taken_once():
    shop, vendor = make_retailer(), make_vendor()

    outcomes = crowd(
        lambda: payments.record_payment(
            retailer_id=shop.pk,
            vendor_id=vendor.pk,
            amount=Decimal(50),
            method=PaymentMethod.MOBILE_MONEY,
            transaction_id="TXN-1",
            actor=SYSTEM,
        ),
        8,
    )

    assert outcomes == {"ok": 1, "DuplicateTransaction": 7}
    assert CreditAccount.objects.get().balance == Decimal(-50)


def test_a_payment_reversed_by_two_officers_is_reversed_once():
    shop, offer = make_retailer(), make_offer(price=100)
    order = advance(make_order(shop, offer), "DELIVERED")
    payment = payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=Decimal(100),
        method=PaymentMethod.CHEQUE,
        actor=SYSTEM,
    )

    outcomes = crowd(
        lambda: payments.reverse_payment(
            payment_id=payment.pk, reason="no funds", bounced=True, actor=SYSTEM
        ),
        6,
    )

    assert outcomes == {"ok": 1, "NotReversible": 5}
    order.refresh_from_db()
    assert (order.paid_amount, CreditAccount.objects.get().balance) == (0, Decimal(100))
    assert Payment.objects.get().bounced


@pytest.mark.parametrize("_round", range(3))
def test_cancel_against_dispatch(_round):
    shop, offer = make_retailer(), make_offer(price=100, stock=10)
    order = advance(make_order(shop, offer, quantity=4), "PACKING")

    outcomes = race(
        lambda: services.cancel_order(
            order_id=order.pk, reason="too late", actor=retailer_actor(shop)
        ),
        lambda: services.dispatch_order(order_id=order.pk, actor=SYSTEM),
    )

    assert outcomes == {"ok": 1, "IllegalTransition": 1}
    order.refresh_from_db()
    offer.refresh_from_db()
    left = {OrderStatus.CANCELLED: (10, 0), OrderStatus.DISPATCHED: (6, 0)}
    assert (offer.stock, offer.reserved) == left[OrderStatus(order.status)]


def test_delivering_twice_debits_once():
    shop, offer = make_retailer(), make_offer(price=100)
    order = advance(make_order(shop, offer), "OUT_FOR_DELIVERY")

    outcomes = crowd(lambda: services.deliver_order(order_id=order.pk, actor=SYSTEM), 8)

    assert outcomes == {"ok": 1, "IllegalTransition": 7}
    assert CreditAccount.objects.get().balance == Decimal(100)


def test_invoice_numbers_have_no_gaps():
    vendor = make_vendor()
    offer = make_offer(vendor, price=1, stock=100)
    ready = [advance(make_order(make_retailer(), offer), "OUT_FOR_DELIVERY") for _ in range(10)]

    outcomes = race(
        *(lambda o=o: services.deliver_order(order_id=o.pk, actor=SYSTEM) for o in ready)
    )

    assert outcomes == {"ok": 10}
    numbers = sorted(Order.objects.values_list("invoice_number", flat=True))
    assert [int(number.rsplit("/", 1)[1]) for number in numbers] == list(range(1, 11))
    assert InvoiceCounter.objects.get().last_number == 10


def test_orders_payments_and_a_limit_change_at_once():
    shop = make_retailer(credit_limit=500)
    offer = make_offer(price=100, stock=1000)
    due = advance(make_order(shop, offer), "DELIVERED")

    def pay():
        payments.record_payment(
            retailer_id=shop.pk,
            vendor_id=offer.vendor_id,
            amount=Decimal(100),
            method=PaymentMethod.CASH,
            actor=SYSTEM,
        )

    outcomes = crowd([lambda: make_order(shop, offer), pay], 24)

    assert set(outcomes) <= {"ok", "CreditLimitExceeded"}
    due.refresh_from_db()
    assert due.payment_status == "PAID"


def test_stock_cut_against_orders():
    offer = make_offer(price=1, stock=20)
    shops = [make_retailer() for _ in range(20)]

    outcomes = race(
        *(lambda s=s: make_order(s, offer) for s in shops),
        *(
            lambda: vendors.change_offer(offer_id=offer.pk, stock_delta=-5, actor=SYSTEM)
            for _ in range(2)
        ),
    )

    offer.refresh_from_db()
    assert offer.reserved <= offer.stock
    assert outcomes["ok"] - Order.objects.count() == (20 - offer.stock) // 5


def test_cash_orders_of_one_shop_run_beside_each_other():
    """A cash order locks no retailer row, so one that stands still stops no other."""
    shop = make_retailer()
    offers = [make_offer(price=1) for _ in range(2)]
    for offer in offers:
        make_order(shop, offer, terms=PaymentTerms.CASH)
    held, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            make_order(shop, offers[0], terms=PaymentTerms.CASH)
            held.set()
            done.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '500ms'")
    try:
        make_order(shop, offers[1], terms=PaymentTerms.CASH)
    finally:
        done.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert Order.objects.count() == 4


def test_a_refusal_is_approved_once():
    shop = make_retailer(credit_limit=10)
    offer = make_offer(price=100)
    try:
        make_order(shop, offer)
    except Exception as refusal:
        refusal.after_rollback()
    refused = OrderRefusal.objects.get()
    officers = [make_actor() for _ in range(4)]

    outcomes = race(
        *(
            lambda a=a: services.approve_refusal(
                refusal_id=refused.pk, reason="known for years", actor=a
            )
            for a in officers
        )
    )

    assert outcomes == {"ok": 1, "AlreadyDecided": 3}
    order = Order.objects.get()
    assert order.account_exposure == Decimal(100)
    refused.refresh_from_db()
    assert refused.order_id == order.pk
