"""Stock moves for all lines or none, and its locks are taken in id order whoever asks how."""

import pytest
from django.db import transaction

from tests.factories import make_offer, make_vendor
from tests.races import race
from vendors.exceptions import InsufficientStock
from vendors.models import VendorProduct
from vendors.services import StockChange, move_stock


@pytest.mark.django_db(transaction=True)
def test_opposite_orders_of_lines_do_not_deadlock():
    vendor = make_vendor()
    ids = [make_offer(vendor, stock=100_000).pk for _ in range(12)]

    def take(order):
        for _ in range(40):
            with transaction.atomic():
                move_stock(dict.fromkeys(order, StockChange(reserved=1)))

    outcomes = race(*(lambda order=ids[:: 1 - 2 * (i % 2)]: take(order) for i in range(8)))

    assert outcomes == {"ok": 8}
    assert set(VendorProduct.objects.values_list("reserved", flat=True)) == {320}


@pytest.mark.django_db
def test_one_short_line_moves_none():
    plenty, scarce = make_offer(stock=10), make_offer(stock=1)
    with pytest.raises(InsufficientStock) as refusal, transaction.atomic():
        move_stock({plenty.pk: StockChange(reserved=2), scarce.pk: StockChange(reserved=2)})
    assert [line["offer_id"] for line in refusal.value.extra["lines"]] == [scarce.pk]
    assert set(VendorProduct.objects.values_list("reserved", flat=True)) == {0}
