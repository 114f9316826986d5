"""Ageing: each bucket's edge, unapplied credit, and the ledger to the paisa."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum
from django.utils import timezone

from credit import services as credit
from credit.enums import EntryType
from credit.models import CreditAccount
from khaacho.actors import SYSTEM
from payments import ageing, services
from payments.ageing import Ageing
from payments.enums import PaymentMethod
from tests.api.trade import queries
from tests.factories import (
    advance,
    backdate_due,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
)

pytestmark = pytest.mark.django_db
TERMS = 30


def owe(shop, vendor, price, late):
    """Deliver an order that is so many days late today; negative: due in the future."""
    offer = make_offer(vendor, price=price)
    order = advance(make_order(shop, offer), "DELIVERED")
    backdate_due(order, TERMS + late)
    return order


def pay(shop, vendor, amount):
    return services.record_payment(
        retailer_id=shop.pk,
        vendor_id=vendor.pk,
        amount=Decimal(amount),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )


@pytest.mark.parametrize(
    ("late", "bucket"),
    [
        *((-30, "not_due"), (0, "not_due"), (1, "days_1_30"), (30, "days_1_30")),
        *((31, "days_31_60"), (60, "days_31_60"), (61, "days_61_90"), (90, "days_61_90")),
        *((91, "days_91_120"), (120, "days_91_120"), (121, "over_120"), (900, "over_120")),
    ],
)
def test_buckets(late, bucket):
    shop, vendor = make_retailer(), make_vendor()
    owe(shop, vendor, "123.45", late)
    expected = Ageing(**{bucket: Decimal("123.45")})
    assert ageing.by_retailer() == {shop.pk: expected}
    assert ageing.by_vendor() == {vendor.pk: expected}


def test_another_day_ages_what_is_open_now():
    shop, vendor = make_retailer(), make_vendor()
    owe(shop, vendor, 100, 30)
    tomorrow = timezone.localdate() + timedelta(days=1)
    assert ageing.by_retailer(as_of=tomorrow)[shop.pk].days_31_60 == 100


def test_adds_up_to_the_ledger_with_parts_advances_and_adjustments():
    shop, vendor, other = make_retailer(), make_vendor(), make_vendor()
    owe(shop, other, "50.05", -3)
    owe(shop, vendor, "100.10", 5)
    owe(shop, vendor, "200.20", 95)
    pay(shop, vendor, "250.00")
    pay(shop, other, "60.00")
    account = CreditAccount.objects.get(retailer=shop, vendor=vendor)
    for kind, amount in ((EntryType.ADJUSTMENT_DEBIT, "7.00"), (EntryType.REFUND_CREDIT, "-9.99")):
        entry = credit.post_entry(
            account_id=account.pk,
            kind=kind,
            amount=Decimal(amount),
            key=f"test:{kind}",
            reference="x",
            actor=SYSTEM,
        )
    assert ageing.by_retailer()[shop.pk] == Ageing(
        days_1_30=Decimal("50.30"), unapplied_credit=Decimal("9.95") + Decimal("2.99")
    )
    credit.reverse_entry(entry_id=entry.id, note="", actor=SYSTEM)
    assert ageing.by_retailer()[shop.pk].unapplied_credit == Decimal("2.95")
    assert ageing.by_retailer(vendor_id=vendor.pk)[shop.pk].unapplied_credit == -7
    assert ageing.by_retailer(vendor_id=other.pk)[shop.pk].balance == Decimal("-9.95")
    for pk, aged in ageing.by_vendor().items():
        assert aged.balance == CreditAccount.objects.get(vendor_id=pk).balance
    owed = CreditAccount.objects.aggregate(Sum("balance"))["balance__sum"]
    assert ageing.total().balance == owed


def test_a_reversed_payment_leaves_no_credit():
    shop, vendor = make_retailer(), make_vendor()
    owe(shop, vendor, 100, 5)
    payment = pay(shop, vendor, 150)
    services.reverse_payment(payment_id=payment.pk, reason="wrong shop", actor=SYSTEM)
    assert ageing.by_retailer() == {shop.pk: Ageing(days_1_30=Decimal(100))}


def test_only_those_named_in_one_statement():
    shops = [make_retailer() for _ in range(3)]
    vendor = make_vendor()
    for shop in shops:
        owe(shop, vendor, 10, 1)
    assert set(ageing.by_retailer(retailer_ids=[shops[0].pk, shops[2].pk])) == {
        shops[0].pk,
        shops[2].pk,
    }
    assert ageing.by_retailer(retailer_ids=[]) == {}
    assert len(queries(ageing.by_retailer)) == 1
