"""The credit desk: refused orders, approved once with a reason."""

from decimal import Decimal

import pytest
from django.db import transaction

from credit.exceptions import CreditLimitExceeded
from credit.models import CreditApproval, Retailer
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid
from khaacho.models import AuditLog
from orders import services
from orders.exceptions import AlreadyDecided
from orders.models import Order, OrderRefusal
from tests.factories import make_actor, make_offer, make_order, make_retailer, retailer_actor
from vendors.exceptions import InsufficientStock
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db


@pytest.fixture
def refusal():
    shop, offer = make_retailer(credit_limit=100), make_offer(price=100, stock=10)
    return refuse(CreditLimitExceeded, shop, offer, quantity=2)


def refuse(error, shop, offer, quantity):
    with pytest.raises(error) as caught, transaction.atomic():
        make_order(shop, offer, quantity=quantity)
    caught.value.after_rollback()
    return OrderRefusal.objects.latest("pk")


def test_approval_places_the_order_over_the_limit(refusal):
    officer = make_actor()

    order = services.approve_refusal(refusal_id=refusal.pk, reason="festival", actor=officer)

    assert (order.total, order.platform_exposure, order.platform_limit) == (200, 200, 100)
    approval = CreditApproval.objects.get()
    assert (approval.used_for, approval.reason) == (order.order_number, "festival")
    assert order.credit_approval_id == approval.pk
    refusal.refresh_from_db()
    assert (refusal.state, refusal.order_id, refusal.decided_by_id) == (
        "APPROVED",
        order.pk,
        officer.user_id,
    )
    assert AuditLog.objects.filter(action="refusal.approved", reason="festival").exists()


def test_approval_is_for_one_order_only(refusal):
    services.approve_refusal(refusal_id=refusal.pk, reason="festival", actor=make_actor())
    with pytest.raises(AlreadyDecided):
        services.approve_refusal(refusal_id=refusal.pk, reason="again", actor=make_actor())
    shop = Retailer.objects.get()
    with pytest.raises(CreditLimitExceeded):
        make_order(shop, VendorProduct.objects.get())
    assert Order.objects.count() == 1


def test_a_reason_and_an_officer_are_needed(refusal):
    shop = Retailer.objects.get()
    with pytest.raises(Invalid):
        services.approve_refusal(refusal_id=refusal.pk, reason="", actor=make_actor())
    for actor in (retailer_actor(shop), SYSTEM):
        with pytest.raises(Forbidden), transaction.atomic():
            services.approve_refusal(refusal_id=refusal.pk, reason="please", actor=actor)
    assert not CreditApproval.objects.exists()


def test_declining_leaves_it_refused(refusal):
    services.decline_refusal(refusal_id=refusal.pk, reason="pays late", actor=make_actor())
    refusal.refresh_from_db()
    assert (refusal.state, refusal.decision_reason) == ("DECLINED", "pays late")
    with pytest.raises(AlreadyDecided):
        services.approve_refusal(refusal_id=refusal.pk, reason="yes", actor=make_actor())


def test_approval_does_not_conjure_stock(refusal):
    VendorProduct.objects.update(stock=1)
    with pytest.raises(InsufficientStock), transaction.atomic():
        services.approve_refusal(refusal_id=refusal.pk, reason="festival", actor=make_actor())
    refusal.refresh_from_db()
    assert refusal.state == "OPEN"
    assert not CreditApproval.objects.exists()


def test_a_refusal_for_stock_is_not_approvable():
    refusal = refuse(InsufficientStock, make_retailer(), make_offer(stock=1), 2)
    with pytest.raises(Conflict):
        services.approve_refusal(refusal_id=refusal.pk, reason="x", actor=make_actor())
    assert refusal.details["lines"][0]["available"] == 1
    assert refusal.shortfall is None
    assert Decimal(0) == sum(r.reserved_credit for r in Retailer.objects.all())
