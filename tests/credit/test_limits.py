"""Limits, terms and standing."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from credit import services
from credit.exceptions import AccountFrozen, SecondPersonNeeded
from credit.models import CreditAccount, LimitChange, Retailer
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import AuditLog
from orders import services as orders
from tests.factories import (
    HOME,
    advance,
    make_actor,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
    phone,
    retailer_actor,
    vendor_actor,
)

pytestmark = pytest.mark.django_db
BIG = Decimal("200000.01")


def limit_of(retailer):
    return Retailer.objects.values_list("credit_limit", flat=True).get(pk=retailer.pk)


def test_a_small_change_applies_at_once_and_is_recorded():
    shop, officer = make_retailer(credit_limit=100), make_actor()
    change = services.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(200_000), reason="grows", actor=officer
    )
    assert (limit_of(shop), change.state, change.old_limit) == (200_000, "APPROVED", 100)
    entry = AuditLog.objects.filter(action="retailer.updated").latest("pk")
    assert (entry.user_id, entry.reason) == (officer.user_id, "grows")
    assert (entry.old_values, entry.new_values) == (
        {"credit_limit": 100.00},
        {"credit_limit": 200000.00},
    )


def test_a_large_rise_waits_for_a_second_person():
    shop, first, second = make_retailer(credit_limit=100), make_actor(), make_actor()
    change = services.change_limit(
        retailer_id=shop.pk, new_limit=BIG, reason="new branch", actor=first
    )
    assert (limit_of(shop), change.state) == (100, "PENDING")
    with pytest.raises(SecondPersonNeeded), transaction.atomic():
        services.decide_limit_change(change_id=change.pk, approve=True, actor=first)
    services.decide_limit_change(change_id=change.pk, approve=True, actor=second)
    assert limit_of(shop) == BIG
    with pytest.raises(Conflict):
        services.decide_limit_change(change_id=change.pk, approve=False, actor=second)


def test_a_declined_rise_changes_nothing():
    shop = make_retailer(credit_limit=100)
    change = services.change_limit(
        retailer_id=shop.pk, new_limit=BIG, reason="new branch", actor=make_actor()
    )
    services.decide_limit_change(change_id=change.pk, approve=False, actor=make_actor())
    assert limit_of(shop) == 100


def test_one_change_waits_at_a_time():
    shop = make_retailer()
    args = {"retailer_id": shop.pk, "new_limit": BIG, "reason": "new branch"}
    services.change_limit(**args, actor=make_actor())
    with pytest.raises(Conflict):
        services.change_limit(**args, actor=make_actor())
    assert LimitChange.objects.count() == 1


def test_a_limit_may_be_cut_below_the_exposure_and_then_nothing_rises():
    shop, offer = make_retailer(credit_limit=1000), make_offer(price=100)
    order = advance(make_order(shop, offer), "OUT_FOR_DELIVERY")
    services.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(10), reason="pays late", actor=make_actor()
    )
    orders.deliver_order(order_id=order.pk, actor=SYSTEM)
    assert Retailer.objects.get().outstanding_debt == 100
    with pytest.raises(IntegrityError), transaction.atomic():
        Retailer.objects.update(reserved_credit=1)


def test_a_vendor_sets_the_limit_of_its_own_account_only():
    shop, offer = make_retailer(), make_offer()
    make_order(shop, offer)
    args = {"retailer_id": shop.pk, "new_limit": Decimal(500), "reason": "known"}
    services.change_limit(**args, vendor_id=offer.vendor_id, actor=vendor_actor(offer.vendor))
    assert CreditAccount.objects.get().credit_limit == 500
    other = make_vendor()
    for vendor_id in (offer.vendor_id, None):
        with pytest.raises(Forbidden), transaction.atomic():
            services.change_limit(**args, vendor_id=vendor_id, actor=vendor_actor(other))
    with pytest.raises(NotFound):
        services.change_limit(**args, vendor_id=other.pk, actor=vendor_actor(other))
    with pytest.raises(Forbidden):
        services.change_limit(**args, actor=retailer_actor(shop))


@pytest.mark.parametrize(
    ("limit", "reason"),
    [(Decimal(-1), "x"), (None, "x"), (Decimal(5), " "), (Decimal(10**10), "x")],
)
def test_nonsense_is_invalid(limit, reason):
    with pytest.raises(Invalid):
        services.change_limit(
            retailer_id=make_retailer().pk, new_limit=limit, reason=reason, actor=make_actor()
        )


def test_terms_are_the_vendors_to_set():
    shop, offer = make_retailer(), make_offer()
    make_order(shop, offer)
    account = CreditAccount.objects.get()
    services.change_terms(
        account_id=account.pk, payment_terms_days=15, actor=vendor_actor(offer.vendor)
    )
    account.refresh_from_db()
    assert account.payment_terms_days == 15
    for days in (-1, 181):
        with pytest.raises(Invalid):
            services.change_terms(account_id=account.pk, payment_terms_days=days, actor=SYSTEM)
    with pytest.raises(Forbidden):
        services.change_terms(
            account_id=account.pk, payment_terms_days=9, actor=vendor_actor(make_vendor())
        )


def test_registration_gives_no_rights():
    shop = make_retailer(approved=False)
    assert (shop.is_approved, shop.credit_limit, shop.credit_score) == (False, 0, 630)
    assert shop.code.startswith("RTL-")
    assert shop.user.role == "RETAILER"
    assert not shop.user.is_staff


def test_a_phone_registers_once():
    number = phone()
    args = {"phone": number, "name": "A", "password": "x", "shop_name": "B", "place": HOME}
    services.register_retailer(**args)
    with pytest.raises(Conflict):
        services.register_retailer(**args)


def test_approving_and_blocking_are_staff_acts_done_once():
    shop, staff = make_retailer(approved=False), make_actor()
    with pytest.raises(Forbidden):
        services.approve_retailer(retailer_id=shop.pk, actor=retailer_actor(shop))
    services.approve_retailer(retailer_id=shop.pk, actor=staff, credit_limit=Decimal(5000))
    with pytest.raises(Conflict):
        services.approve_retailer(retailer_id=shop.pk, actor=staff)
    with pytest.raises(Invalid):
        services.block_retailer(retailer_id=shop.pk, reason="", actor=staff)
    services.block_retailer(retailer_id=shop.pk, reason="fraud", actor=staff)
    with pytest.raises(Conflict):
        services.block_retailer(retailer_id=shop.pk, reason="fraud", actor=staff)
    services.unblock_retailer(retailer_id=shop.pk, actor=staff)
    with pytest.raises(Conflict):
        services.unblock_retailer(retailer_id=shop.pk, actor=staff)


def test_a_frozen_account_is_found_frozen_under_its_lock():
    """Whoever looked before it was frozen is refused when the credit is reserved."""
    retailer, vendor = make_retailer(credit_limit=1000), make_vendor()
    pair = {"retailer_id": retailer.pk, "vendor_id": vendor.pk}
    account_id = services.open_account(**pair)
    services.freeze_account(account_id=account_id, reason="ledger differs", actor=SYSTEM)
    with pytest.raises(AccountFrozen), transaction.atomic():
        services.reserve(**pair, amount=Decimal(10))
    retailer.refresh_from_db()
    assert retailer.reserved_credit == 0


def test_a_first_reservation_opens_the_account():
    retailer, vendor = make_retailer(credit_limit=1000), make_vendor()
    pair = {"retailer_id": retailer.pk, "vendor_id": vendor.pk}
    exposure = services.reserve(**pair, amount=Decimal(10))
    account = CreditAccount.objects.get(**pair)
    assert (account.reserved, account.balance, account.payment_terms_days) == (10, 0, 30)
    assert (exposure.account_exposure, exposure.account_limit) == (10, None)
    assert (exposure.platform_exposure, exposure.platform_limit) == (10, 1000)
    with pytest.raises(IntegrityError, match="starts at zero"), transaction.atomic():
        CreditAccount.objects.create(
            retailer=make_retailer(), vendor=vendor, reserved=5, credit_limit=4
        )
