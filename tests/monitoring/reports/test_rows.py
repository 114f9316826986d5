"""Every kind's rows, by hand on a small trade, and against the ledger."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credit import selectors as credit
from credit.models import CreditAccount, Retailer
from khaacho.actors import SYSTEM
from orders import services as orders
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.trade import backdate
from tests.factories import (
    advance,
    backdate_due,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
)
from tests.monitoring.reports.making import D, document, rows

pytestmark = pytest.mark.django_db(transaction=True)


def today() -> str:
    return timezone.localdate().isoformat()


def days_ago(days: int) -> str:
    return (timezone.localdate() - timedelta(days=days)).isoformat()


def deliver(shop, offer, *, quantity=1, late=0):
    """Return a delivered order that was due so many days ago."""
    order = advance(make_order(shop, offer, quantity=quantity), "DELIVERED")
    backdate_due(order, 30 + late)
    return order


def pay(order, amount, method=PaymentMethod.CASH, **named):
    return payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=D(amount),
        method=method,
        actor=SYSTEM,
        **named,
    )


def pick(row, *names):
    return tuple(row[name] for name in names)


def test_credit_summary_of_retailers():
    shop = make_retailer(credit_limit=1000)
    make_retailer(credit_limit=0)
    offer = make_offer(price=100)
    order = deliver(shop, offer, quantity=3, late=40)
    make_order(shop, make_offer(price=50), quantity=2, terms="CASH")
    pay(order, "120.00")

    one, other = rows("CREDIT_SUMMARY")

    assert one == {
        "retailer_code": shop.code,
        "retailer_name": shop.shop_name,
        "retailer_name_ne": "",
        "district": "Surkhet",
        "credit_limit": "1000.00",
        "outstanding": "180.00",
        "reserved": "0.00",
        "available": "820.00",
        "overdue": "180.00",
        "is_on_hold": True,
        "oldest_due_days": 40,
        "last_payment_on": today(),
        "last_payment": "120.00",
        "credit_score": 630,
        "band": "fair",
    }
    assert pick(other, "credit_limit", "available", "overdue", "is_on_hold", "last_payment") == (
        "0.00",
        "0.00",
        "0.00",
        False,
        None,
    )


@pytest.mark.parametrize(("late", "held"), [(30, False), (31, True)])
def test_a_shop_is_on_hold_from_the_day_on_which_orders_are_refused(late, held):
    shop = make_retailer()
    deliver(shop, make_offer(), late=late)
    (row,) = rows("CREDIT_SUMMARY", retailer_id=shop.pk)
    assert pick(row, "oldest_due_days", "is_on_hold") == (late, held)


def test_credit_summary_of_accounts_takes_the_narrower_limit():
    shop = make_retailer(credit_limit=1000)
    first, second = make_offer(price=100), make_offer(price=10)
    deliver(shop, first, quantity=2, late=1)
    make_order(shop, second, quantity=3)
    CreditAccount.objects.filter(vendor_id=second.vendor_id).update(credit_limit=100)

    one, two = rows("CREDIT_SUMMARY", group_by="account")

    assert pick(one, "vendor_code", "credit_limit", "outstanding", "reserved", "available") == (
        first.vendor.code,
        None,
        "200.00",
        "0.00",
        "770.00",
    )
    assert pick(two, "vendor_code", "credit_limit", "outstanding", "reserved", "available") == (
        second.vendor.code,
        "100.00",
        "0.00",
        "30.00",
        "70.00",
    )
    assert pick(one, "overdue", "oldest_due_days") == ("200.00", 1)
    assert pick(two, "overdue", "oldest_due_days") == ("0.00", 0)


def test_credit_summary_is_narrowed():
    shop, other = make_retailer(), make_retailer()
    offer = make_offer(price=100)
    deliver(shop, offer)
    Retailer.objects.filter(pk=other.pk).update(district="Kaski")

    def codes(**given):
        return [row["retailer_code"] for row in rows("CREDIT_SUMMARY", **given)]

    assert codes() == [shop.code, other.code]
    assert codes(district="Kaski") == [other.code]
    assert codes(retailer_id=shop.pk) == [shop.code]
    assert codes(min_outstanding="100") == [shop.code]
    assert codes(min_outstanding="100.01") == []
    assert codes(vendor_id=offer.vendor_id) == [shop.code]
    assert codes(vendor_id=make_vendor().pk) == []
    assert codes(group_by="account", vendor_id=offer.vendor_id) == [shop.code]


def ordered_of_two_periods():
    """Two shops, two vendors, two products (one taxed); one order of the period before, one cancelled."""
    shop, other = make_retailer(), make_retailer()
    rice, oil = make_product(), make_product(tax_rate=13)
    vendor, rival = make_vendor(), make_vendor()
    cheap, dear = make_offer(vendor, rice, price=100), make_offer(vendor, oil, price=50)
    rivals = make_offer(rival, rice, price=90)
    make_order(shop, cheap, dear, quantity=2)  # 300 + 13
    make_order(other, rivals, quantity=1)  # 90
    backdate(make_order(shop, cheap, quantity=1), "created_at", 10)  # 100, before
    cancelled = make_order(shop, cheap, quantity=9)
    orders.cancel_order(order_id=cancelled.pk, reason="no", actor=SYSTEM)
    return shop, other, rice, oil, vendor, rival


VOLUME = ("orders", "quantity", "net", "vat", "total", "share", "previous", "change")


def test_purchase_volume_by_retailer_against_the_period_before():
    shop, other, *_ = ordered_of_two_periods()
    found = document("PURCHASE_VOLUME", start=days_ago(6), end=today())
    one, two = found["rows"]
    assert pick(one, "retailer_code", *VOLUME) == (
        *(shop.code, 1, 4, "300.00", "13.00", "313.00"),
        *("77.67", "100.00", "213.00"),
    )
    assert pick(two, "retailer_code", *VOLUME) == (
        *(other.code, 1, 1, "90.00", "0.00", "90.00"),
        *("22.33", "0.00", None),
    )
    assert found["totals"] == {
        "orders": 2,
        "quantity": 5,
        "net": "390.00",
        "vat": "13.00",
        "total": "403.00",
        "previous": "100.00",
    }
    assert found["row_count"] == 2


def test_purchase_volume_by_vendor_product_and_month():
    _, _, rice, oil, vendor, rival = ordered_of_two_periods()
    period = {"start": days_ago(6), "end": today()}
    by_vendor = rows("PURCHASE_VOLUME", group_by="vendor", **period)
    assert [pick(row, "vendor_code", "total") for row in by_vendor] == [
        (vendor.code, "313.00"),
        (rival.code, "90.00"),
    ]
    by_product = rows("PURCHASE_VOLUME", group_by="product", **period)
    assert [pick(row, "sku", *VOLUME) for row in by_product] == [
        (rice.sku, 2, 3, "290.00", "0.00", "290.00", "71.96", "100.00", "190.00"),
        (oil.sku, 1, 2, "100.00", "13.00", "113.00", "28.04", "0.00", None),
    ]
    by_month = rows("PURCHASE_VOLUME", group_by="month", start=days_ago(40), end=today())
    assert sum(row["orders"] for row in by_month) == 3
    assert sum(D(row["total"]) for row in by_month) == 503
    assert by_month[0]["change"] is None
    assert by_month[-1]["month"] == today()[:7]


def test_what_was_bought_only_before_is_a_change_of_minus_100():
    shop, offer = make_retailer(), make_offer(price=100)
    backdate(make_order(shop, offer), "created_at", 10)
    (row,) = rows("PURCHASE_VOLUME", start=days_ago(6), end=today())
    assert pick(row, *VOLUME) == (0, 0, "0.00", "0.00", "0.00", None, "100.00", "-100.00")


def test_a_period_is_days_of_kathmandu_both_included():
    order = make_order(make_retailer(), make_offer())
    backdate(order, "created_at", 3)
    order.refresh_from_db()
    day = timezone.localtime(order.created_at).date().isoformat()
    before = (timezone.localtime(order.created_at).date() - timedelta(days=1)).isoformat()
    assert len(rows("PURCHASE_VOLUME", start=day, end=day)) == 1
    assert rows("PURCHASE_VOLUME", start=before, end=before) == []


def test_payment_discipline():
    shop, offer = make_retailer(), make_offer(price=100)
    punctual = advance(make_order(shop, offer), "DELIVERED")
    backdate_due(punctual, 30)  # due today
    pay(punctual, "100.00", allocations=[payments.Allocation(punctual.pk, D("100.00"))])
    late = deliver(shop, offer, late=4)
    pay(late, "100.00", allocations=[payments.Allocation(late.pk, D("100.00"))])
    owing = deliver(shop, offer, quantity=2, late=9)
    pay(owing, "50.00", allocations=[payments.Allocation(owing.pk, D("50.00"))])
    advance(make_order(shop, offer), "DELIVERED")  # due in 30 days
    cheque = pay(owing, "10.00", PaymentMethod.CHEQUE)
    payments.reverse_payment(payment_id=cheque.pk, reason="no money", bounced=True, actor=SYSTEM)

    in_future = (timezone.localdate() + timedelta(days=60)).isoformat()
    (row,) = rows("PAYMENT_DISCIPLINE", start=days_ago(20), end=in_future)

    assert row == {
        "retailer_code": shop.code,
        "retailer_name": shop.shop_name,
        "retailer_name_ne": "",
        "district": "Surkhet",
        "invoices_due": 4,
        "amount_due": "500.00",
        "paid_on_time": 1,
        "paid_late": 1,
        "unpaid_overdue": 1,
        "amount_overdue": "150.00",
        "not_yet_due": 1,
        "mean_days_late": "6.50",
        "worst_days_late": 9,
        "bounced_cheques": 1,
        "on_time_share": "33.33",
    }
    (shorter,) = rows("PAYMENT_DISCIPLINE", start=days_ago(5), end=days_ago(1))
    assert pick(shorter, "invoices_due", "paid_late", "on_time_share") == (1, 1, "0.00")


def test_a_bounced_cheque_shows_without_any_invoice_due():
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    cheque = pay(order, "10.00", PaymentMethod.CHEQUE)
    payments.reverse_payment(payment_id=cheque.pk, reason="no money", bounced=True, actor=SYSTEM)
    (row,) = rows("PAYMENT_DISCIPLINE", start=today(), end=today())
    assert pick(row, "invoices_due", "bounced_cheques", "on_time_share") == (0, 1, None)
    assert rows("PAYMENT_DISCIPLINE", start=days_ago(9), end=days_ago(1)) == []


BUCKETS = (
    "not_due",
    "days_1_30",
    "days_31_60",
    "days_61_90",
    "days_91_120",
    "days_over_120",
    "unapplied_credit",
    "other",
    "balance",
)


def test_outstanding_liability_by_age_and_equal_to_the_ledger():
    shop, vendor = make_retailer(), make_vendor()
    pay(deliver(shop, make_offer(price=7), late=3), "20.00")
    ages = [-1, 0, 1, 30, 31, 60, 61, 90, 91, 120, 121, 500]
    dues = [make_order(shop, make_offer(vendor, price=2**number)) for number in range(len(ages))]
    for order, late in zip(dues, ages, strict=True):
        advance(order, "DELIVERED")
        backdate_due(order, 30 + late)
    settled = deliver(make_retailer(), make_offer(price=5))
    pay(settled, "5.00")

    found = document("OUTSTANDING_LIABILITY")
    one, two = found["rows"]

    assert pick(one, *BUCKETS) == (
        *("3.00", "12.00", "48.00", "192.00", "768.00", "3072.00"),
        *("0.00", "0.00", "4095.00"),
    )
    assert pick(two, *BUCKETS) == (*("0.00",) * 6, "13.00", "0.00", "-13.00")
    assert D(found["totals"]["balance"]) == sum(a.balance for a in CreditAccount.objects.all())
    for row in found["rows"]:
        buckets = [D(row[name]) for name in BUCKETS]
        assert sum(buckets[:6]) - buckets[6] + buckets[7] == buckets[8]


def test_outstanding_liability_is_narrowed_to_one_pair():
    shop, offer = make_retailer(), make_offer(price=7)
    deliver(shop, offer)
    deliver(make_retailer(), offer)
    deliver(shop, make_offer(price=9))
    (row,) = rows("OUTSTANDING_LIABILITY", retailer_id=shop.pk, vendor_id=offer.vendor_id)
    assert pick(row, "retailer_code", "vendor_code", "balance") == (
        shop.code,
        offer.vendor.code,
        "7.00",
    )
    assert len(rows("OUTSTANDING_LIABILITY", min_outstanding="8")) == 1
    assert rows("OUTSTANDING_LIABILITY", district="Kaski") == []


def test_a_statement_is_the_one_that_credit_gives():
    shop, offer = make_retailer(), make_offer(price=100)
    order = deliver(shop, offer, quantity=3)
    deliver(shop, make_offer(price=11))
    pay(order, "120.00")
    deliver(make_retailer(), offer)
    day = timezone.localdate()
    for vendor_id in (None, offer.vendor_id):
        given = {"vendor_id": vendor_id} if vendor_id else {}
        found = rows("STATEMENT", retailer_id=shop.pk, start=days_ago(3), end=today(), **given)
        same = credit.statement(
            SYSTEM,
            retailer_id=shop.pk,
            vendor_id=vendor_id,
            start=day - timedelta(days=3),
            end=day,
        )
        opening, *entries, closing = found
        assert pick(opening, "type", "amount", "balance") == (
            *("OPENING_BALANCE", None),
            f"{same.opening_balance:.2f}",
        )
        assert [pick(row, "entry_number", "type", "amount", "balance") for row in entries] == [
            (e.entry_number, e.transaction_type, f"{e.amount:.2f}", f"{e.balance:.2f}")
            for e in same.entries
        ]
        assert len(entries) == (2 if vendor_id else 3)
        assert pick(closing, "type", "date", "balance") == (
            *("CLOSING_BALANCE", today()),
            f"{same.closing_balance:.2f}",
        )
    tomorrow = (day + timedelta(days=1)).isoformat()
    opening, closing = rows("STATEMENT", retailer_id=shop.pk, start=tomorrow, end=tomorrow)
    assert opening["balance"] == closing["balance"] == "191.00"
