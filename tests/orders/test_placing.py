"""Placing: prices, stock and credit are fixed together, or nothing is."""

from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models.functions import Now

from credit import services as credit
from credit.exceptions import (
    AccountFrozen,
    CreditLimitExceeded,
    CreditOnHold,
    RetailerBlocked,
    RetailerNotApproved,
)
from credit.models import CreditAccount, CreditLedger
from khaacho.actors import SYSTEM
from khaacho.exceptions import AccountInactive, Forbidden, Invalid, KhaachoError
from khaacho.models import Job, User
from orders import services
from orders.enums import OrderSource, PaymentTerms
from orders.exceptions import NoVendorAvailable, ProductUnavailable, QuantityOutOfRange
from orders.models import Order, OrderItem, OrderRefusal
from orders.services import Line, OrderRequest
from tests.factories import (
    advance,
    backdate_due,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
    retailer_actor,
)
from vendors import services as vendors
from vendors.exceptions import InsufficientStock
from vendors.models import Product, Vendor, VendorProduct

pytestmark = pytest.mark.django_db


def nothing_happened(offer):
    offer.refresh_from_db()
    assert offer.reserved == 0
    assert not Order.objects.exists()
    assert not OrderItem.objects.exists()
    assert not Job.objects.filter(kind="orders.route").exists()
    assert not CreditAccount.objects.exclude(reserved=0).exists()


def refused(error: type[KhaachoError], *args, **kwargs) -> KhaachoError:
    """Place in a transaction that is rolled back, as the API does; return the refusal."""
    with pytest.raises(error) as refusal, transaction.atomic():
        make_order(*args, **kwargs)
    return refusal.value


def test_fixes_prices_stock_credit_and_queues_the_routing():
    shop, vendor = make_retailer(credit_limit=1000), make_vendor()
    rice = make_offer(vendor, make_product(tax_rate=0), price=Decimal("95.50"))
    tea = make_offer(vendor, make_product(tax_rate=13), price=Decimal("10.05"))

    order = make_order(shop, rice, tea, quantity=3)

    assert (order.subtotal, order.tax_amount, order.total) == (
        Decimal("316.65"),
        Decimal("3.92"),
        Decimal("320.57"),
    )
    assert order.order_number.startswith("ORD-2")
    assert (order.platform_exposure, order.platform_limit) == (Decimal("320.57"), Decimal(1000))
    assert (order.account_exposure, order.account_limit) == (Decimal("320.57"), None)
    items = order.items.order_by("pk").values_list("unit_price", "line_total", "tax_amount")
    assert list(items) == [
        (Decimal("95.50"), Decimal("286.50"), Decimal("0.00")),
        (Decimal("10.05"), Decimal("30.15"), Decimal("3.92")),
    ]
    job = Job.objects.get(kind="orders.route")
    assert (job.queue, job.args, job.dedupe_key) == (
        "order_routing",
        {"order_id": order.pk},
        f"route:{order.pk}",
    )


def test_later_price_changes_leave_the_order_alone():
    offer = make_offer(price=100)
    order = make_order(make_retailer(), offer)
    vendors.change_offer(offer_id=offer.pk, vendor_price=Decimal(200), actor=SYSTEM)
    assert order.items.get().unit_price == Decimal(100)


def test_a_product_named_twice_is_wanted_twice():
    offer = make_offer(price=10, stock=5)
    order = make_order(make_retailer(), offer, offer, quantity=2)
    assert order.items.get().quantity == 4


def test_takes_the_cheapest_vendor_that_can_serve_every_line():
    rice, tea = make_product(), make_product()
    for prices, stock in (((10, 10), 1), ((12, 9), 100), ((11, 11), 100)):
        vendor = make_vendor()
        for product, price in zip((rice, tea), prices, strict=True):
            make_offer(vendor, product, price=price, stock=stock)
    make_offer(product=rice, price=1)
    request = OrderRequest(
        retailer_id=make_retailer().pk, lines=(Line(rice.pk, 2), Line(tea.pk, 2))
    )

    order = services.place_order(request, actor=SYSTEM)

    assert order.total == Decimal(42)
    assert not order.vendor_named


def test_refuses_over_the_platform_limit_with_the_numbers():
    shop, offer = make_retailer(credit_limit=250), make_offer(price=100)
    make_order(shop, offer)

    refusal = refused(CreditLimitExceeded, shop, offer, quantity=2)

    assert refusal.extra == {
        "available": Decimal("150.00"),
        "required": Decimal("200.00"),
        "shortfall": Decimal("50.00"),
    }
    refusal.after_rollback()
    kept = OrderRefusal.objects.get()
    assert (kept.code, kept.requested, kept.available, kept.shortfall) == (
        "credit_limit_exceeded",
        Decimal(200),
        Decimal(150),
        Decimal(50),
    )
    assert kept.request["items"] == [{"product_id": offer.product_id, "quantity": 2}]
    assert Order.objects.count() == 1


def test_accepts_to_the_last_paisa():
    shop, offer = make_retailer(credit_limit=Decimal("99.99")), make_offer(price=Decimal("99.99"))
    assert make_order(shop, offer).total == shop.credit_limit


def test_refuses_one_paisa_more():
    shop, offer = make_retailer(credit_limit=Decimal("99.98")), make_offer(price=Decimal("99.99"))
    refused(CreditLimitExceeded, shop, offer)
    nothing_happened(offer)


def test_refuses_over_the_account_limit():
    shop, offer = make_retailer(credit_limit=1000), make_offer(price=100)
    make_order(shop, offer)
    CreditAccount.objects.update(credit_limit=150)
    assert refused(CreditLimitExceeded, shop, offer).extra["available"] == Decimal("50.00")


def test_cash_needs_no_credit():
    shop, offer = make_retailer(credit_limit=0), make_offer(price=100)
    order = make_order(shop, offer, terms=PaymentTerms.CASH)
    assert order.platform_exposure is None
    assert CreditAccount.objects.get().reserved == 0


def test_refuses_more_than_is_left_with_the_lines():
    offer = make_offer(stock=3)
    refusal = refused(InsufficientStock, make_retailer(), offer, quantity=4)
    assert refusal.extra["lines"] == [
        {"product_id": offer.product_id, "offer_id": offer.pk, "requested": 4, "available": 3}
    ]
    nothing_happened(offer)


@pytest.mark.parametrize("quantity", [4, 21])
def test_refuses_quantities_outside_the_products_range(quantity):
    offer = make_offer(product=make_product(min_quantity=5, max_quantity=20))
    refused(QuantityOutOfRange, make_retailer(), offer, quantity=quantity)
    nothing_happened(offer)


@pytest.mark.parametrize("quantity", [0, -1, 2**31])
def test_malformed_quantities_are_invalid(quantity):
    offer = make_offer()
    refused(Invalid, make_retailer(), offer, quantity=quantity)
    nothing_happened(offer)


def test_unknown_product_is_invalid():
    offer = make_offer()
    request = OrderRequest(
        retailer_id=make_retailer().pk,
        vendor_id=offer.vendor_id,
        lines=(Line(offer.product_id, 1), Line(999_999, 1)),
    )
    with pytest.raises(Invalid) as refusal:
        services.place_order(request, actor=SYSTEM)
    assert refusal.value.errors == {"items": ["There is no product 999999."]}
    nothing_happened(offer)


def test_no_lines_and_too_many_lines_are_invalid():
    shop = make_retailer()
    for lines in ((), tuple(Line(i + 1, 1) for i in range(201))):
        with pytest.raises(Invalid):
            services.place_order(OrderRequest(retailer_id=shop.pk, lines=lines), actor=SYSTEM)


def test_refuses_what_this_vendor_does_not_sell():
    offer, other = make_offer(), make_offer()
    request = OrderRequest(
        retailer_id=make_retailer().pk,
        vendor_id=offer.vendor_id,
        lines=(Line(other.product_id, 1),),
    )
    with pytest.raises(ProductUnavailable):
        services.place_order(request, actor=SYSTEM)


@pytest.mark.parametrize(
    "change",
    [
        lambda o: VendorProduct.objects.filter(pk=o.pk).update(is_available=False),
        lambda o: VendorProduct.objects.filter(pk=o.pk).update(deleted_at=Now()),
        lambda o: Vendor.objects.filter(pk=o.vendor_id).update(is_approved=False),
        lambda o: Vendor.objects.filter(pk=o.vendor_id).update(
            is_blocked=True, blocked_reason="fraud"
        ),
    ],
    ids=["unavailable", "withdrawn", "unapproved", "blocked"],
)
def test_nobody_can_serve(change):
    offer = make_offer()
    change(offer)
    refused(NoVendorAvailable, make_retailer(), offer, named=False)
    nothing_happened(offer)


def test_an_inactive_product_cannot_be_ordered():
    offer = make_offer()
    Product.objects.update(is_active=False)
    refused(Invalid, make_retailer(), offer)


def test_unapproved_shops_are_refused():
    refused(
        RetailerNotApproved, make_retailer(approved=False), make_offer(), terms=PaymentTerms.CASH
    )


def test_blocked_shops_are_refused_even_for_cash():
    shop = make_retailer()
    credit.block_retailer(retailer_id=shop.pk, reason="forged papers", actor=SYSTEM)
    refusal = refused(RetailerBlocked, shop, make_offer(), terms=PaymentTerms.CASH)
    assert "forged papers" in refusal.message


def test_a_deactivated_user_is_refused():
    shop, offer = make_retailer(), make_offer()
    User.objects.filter(pk=shop.user_id).update(is_active=False)
    refused(AccountInactive, shop, offer)
    nothing_happened(offer)


def test_nobody_orders_for_another_shop():
    shop, other, offer = make_retailer(), make_retailer(), make_offer()
    request = OrderRequest(retailer_id=other.pk, lines=(Line(offer.product_id, 1),))
    with pytest.raises(Forbidden), transaction.atomic():
        services.place_order(request, actor=retailer_actor(shop))
    nothing_happened(offer)


def overdue(shop, offer, days):
    """A delivered order whose debit is due `days` days ago, dated through the ledger's own rules."""
    order = advance(make_order(shop, offer), "OUT_FOR_DELIVERY")
    CreditAccount.objects.update(payment_terms_days=0)
    services.deliver_order(order_id=order.pk, actor=SYSTEM)
    backdate_due(order, days)
    return order


@pytest.mark.parametrize(("days", "held"), [(30, False), (31, True)])
def test_a_due_more_than_thirty_days_late_holds_credit_but_not_cash(days, held):
    shop, offer = make_retailer(), make_offer()
    overdue(shop, offer, days)
    if held:
        refused(CreditOnHold, shop, offer)
        refused(CreditOnHold, shop, make_offer())
    else:
        make_order(shop, offer)
    make_order(shop, offer, terms=PaymentTerms.CASH)


def test_a_frozen_account_makes_no_new_credit():
    shop, offer = make_retailer(), make_offer()
    make_order(shop, offer)
    account = CreditAccount.objects.get()
    credit.freeze_account(account_id=account.pk, reason="ledger differs", actor=SYSTEM)
    refused(AccountFrozen, shop, offer)
    make_order(shop, make_offer())


def test_one_message_makes_one_order():
    shop, offer = make_retailer(), make_offer()
    request = OrderRequest(retailer_id=shop.pk, lines=(Line(offer.product_id, 1),))
    place = {"actor": SYSTEM, "source": OrderSource.WHATSAPP, "source_key": "wamid.1"}
    services.place_order(request, **place)
    with pytest.raises(Exception, match="source_key"), transaction.atomic():
        services.place_order(request, **place)
    assert Order.objects.count() == 1


def test_a_quote_stores_nothing_and_names_every_refusal():
    shop, offer = make_retailer(credit_limit=150), make_offer(price=100, stock=1)
    request = OrderRequest(
        retailer_id=shop.pk, vendor_id=offer.vendor_id, lines=(Line(offer.product_id, 2),)
    )

    quote = services.quote_order(request, actor=retailer_actor(shop))

    assert [r.code for r in quote.refusals] == ["insufficient_stock", "credit_limit_exceeded"]
    assert quote.basket.total == Decimal(200)
    assert quote.standing.available == Decimal(150)
    nothing_happened(offer)
    assert not CreditLedger.objects.exists()


def test_statements_do_not_grow_with_lines(django_assert_num_queries):
    shop, vendor = make_retailer(), make_vendor()
    offers = [make_offer(vendor, price=1) for _ in range(50)]
    make_order(shop, offers[0])
    with django_assert_num_queries(6):
        make_order(shop, offers[0])
    with django_assert_num_queries(6):
        make_order(shop, *offers)
