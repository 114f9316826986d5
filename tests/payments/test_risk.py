"""The risk review: what alarms, what is looked at again, and alerts that end by themselves."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from credit.exceptions import CreditOnHold
from credit.models import CreditLedger, CreditScore, Retailer
from khaacho import jobs, schedules
from khaacho.actors import SYSTEM
from khaacho.models import Alert, Job
from orders import selectors
from orders import services as orders
from orders.enums import PaymentTerms
from orders.models import Order
from payments import risk, services, tasks
from payments.enums import PaymentMethod
from payments.risk import Profile, findings
from tests.api.trade import queries
from tests.factories import (
    advance,
    backdate_due,
    make_offer,
    make_order,
    make_retailer,
    retailer_actor,
)
from tests.payments.test_scores import move

CALM = Profile(
    retailer_id=1,
    exposure=Decimal(0),
    limit=Decimal(1000),
    score=700,
    best_score=700,
    days_late=0,
    bounced_on=None,
    sudden_order=None,
)


def found(**changes) -> list[tuple[str, str]]:
    return [(each.code, each.severity.value) for each in findings(replace(CALM, **changes))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"exposure": Decimal(900)}, []),
        ({"exposure": Decimal("900.01")}, [("exposure_high", "warning")]),
        ({"exposure": Decimal("1000.01")}, [("exposure_high", "critical")]),
        ({"exposure": Decimal(1), "limit": Decimal(0)}, [("exposure_high", "critical")]),
        ({"days_late": 30}, []),
        ({"days_late": 31}, [("due_late", "info")]),
        ({"days_late": 61}, [("due_late", "warning")]),
        ({"days_late": 91}, [("due_late", "critical")]),
        ({"score": 650, "best_score": 749}, []),
        ({"score": 649, "best_score": 650}, [("band_dropped", "warning")]),
        ({"score": 449, "best_score": 650}, [("band_dropped", "critical")]),
        ({"bounced_on": date(2026, 1, 2)}, [("cheque_bounced", "warning")]),
        ({"sudden_order": ("ORD", Decimal(30_000), Decimal(10_000))}, []),
        (
            {"sudden_order": ("ORD", Decimal(30_001), Decimal(10_000))},
            [("order_sudden", "info")],
        ),
        ({"sudden_order": ("ORD", Decimal(10_000), Decimal(1))}, []),
    ],
)
def test_what_alarms(changes, expected):
    assert found(**changes) == expected


def test_tells_the_numbers():
    [said] = findings(replace(CALM, score=449, best_score=760))
    assert said.message == (
        "The score fell from excellent (760) to very poor (449) within 30 days."
    )


pytestmark = pytest.mark.django_db


def owe(shop: Retailer, late: int, price: int = 100) -> Order:
    order = advance(make_order(shop, make_offer(price=price), terms=PaymentTerms.CASH), "DELIVERED")
    if late:
        backdate_due(order, late)
    return order


def review() -> None:
    """Let the hour strike and its work be done."""
    assert schedules.tick("risk review of retailers whose facts changed")
    jobs.run_due(100, queue="credit_score")
    with connection.cursor() as cursor:  # the next hour's slot; no two meet on the way
        cursor.execute(
            "UPDATE jobs SET slot = slot - interval '1 hour' - interval '1 microsecond' * id"
            " WHERE kind = 'payments.review_risk'"
        )


def open_codes() -> set[tuple[int, str]]:
    return set(Alert.objects.filter(resolved_at=None).values_list("entity_id", "code"))


def pay(order: Order, method=PaymentMethod.CASH):
    return services.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=order.total,
        method=method,
        actor=SYSTEM,
    )


def test_an_alert_is_raised_once_and_resolved_when_its_cause_is_gone():
    shop = make_retailer()
    order = owe(shop, late=31)
    make_order(make_retailer(), make_offer())
    review()
    assert open_codes() == {(shop.pk, "credit.due_late")}
    review()
    assert Alert.objects.get().occurrences == 1
    pay(order)
    review()
    assert open_codes() == set()
    assert Alert.objects.count() == 1


def test_an_alert_that_gets_worse_says_so():
    shop = make_retailer()
    order = owe(shop, late=31)
    review()
    backdate_due(order, 60)
    review()
    alert = Alert.objects.get()
    assert (alert.severity, alert.occurrences) == ("critical", 2)
    assert alert.message == "The oldest due is 91 days late, more than 90."


def test_another_alert_of_the_shop_is_left_alone():
    shop = make_retailer()
    Alert.objects.create(
        code="other", severity="info", entity_type="retailer", entity_id=shop.pk, message="x"
    )
    owe(shop, late=0)
    review()
    assert open_codes() == {(shop.pk, "other")}


def test_a_bounced_cheque_and_a_full_limit_alarm():
    shop = make_retailer(credit_limit=100)
    order = advance(make_order(shop, make_offer(price=95)), "DELIVERED")
    payment = pay(order, PaymentMethod.CHEQUE)
    services.reverse_payment(payment_id=payment.pk, reason="no funds", bounced=True, actor=SYSTEM)
    review()
    assert open_codes() == {(shop.pk, "credit.cheque_bounced"), (shop.pk, "credit.exposure_high")}


def test_a_band_lower_than_30_days_ago_alarms():
    shop = make_retailer()
    for days, number in ((40, 760), (20, 700), (0, 640)):
        kept = CreditScore.objects.create(
            retailer=shop, score=number, version="v1", inputs={}, components=[]
        )
        CreditScore.objects.filter(pk=kept.pk).update(
            created_at=timezone.now() - timedelta(days=days)
        )
    Retailer.objects.filter(pk=shop.pk).update(credit_score=640)
    [profile] = risk.profiles([shop.pk])
    assert (profile.best_score, profile.score) == (760, 640)  # what held 30 days ago
    CreditScore.objects.filter(score=700).update(created_at=timezone.now() - timedelta(days=31))
    assert risk.profiles([shop.pk])[0].best_score == 700


def test_a_sudden_order_is_compared_with_the_usual():
    shop = make_retailer(credit_limit=200_000)
    for price in (100, 200, 300, 400, 500):
        order = make_order(shop, make_offer(price=price))
        move("orders", "created_at", order.pk, 3)
    assert risk.profiles([shop.pk])[0].sudden_order is None
    large = make_order(shop, make_offer(price=11_000))
    assert risk.profiles([shop.pk])[0].sudden_order == (
        large.order_number,
        Decimal("11000.00"),
        Decimal("300.00"),
    )
    orders.cancel_order(order_id=large.pk, reason="x", actor=SYSTEM)
    assert risk.profiles([shop.pk])[0].sudden_order is None


def test_looks_again_only_where_something_changed():
    shop, quiet = make_retailer(), make_retailer()
    owe(shop, late=5)
    owe(quiet, late=5)
    assert risk.changed() == sorted([shop.pk, quiet.pk])  # the first time: all that owe
    review()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs SET started_at = now() WHERE kind = 'payments.review_risk'")
    for table, model in (("orders", Order), ("credit_ledgers", CreditLedger)):
        for pk in model.objects.values_list("pk", flat=True):
            move(table, "created_at", pk, 1)
    assert risk.changed() == []
    pay(Order.objects.get(retailer=shop))
    assert risk.changed() == [shop.pk]


@pytest.mark.parametrize(("late", "looked_at"), [(30, False), (31, True), (32, False), (61, True)])
def test_looks_again_on_the_day_a_due_crosses_a_level(late, looked_at):
    shop = make_retailer()
    owe(shop, late=late)
    orders.mark_overdue()
    Job.objects.create(
        kind="payments.review_risk",
        queue="credit_score",
        slot=timezone.now(),
        state="done",
        started_at=timezone.now() + timedelta(minutes=10),
    )
    assert (risk.changed() == [shop.pk]) is looked_at


def test_many_cost_as_few_statements_as_one():
    shops = [make_retailer() for _ in range(4)]
    for shop in shops:
        owe(shop, late=5)
    assert len(queries(lambda: tasks.review_chunk(retailer_ids=[shops[0].pk]))) == 2
    assert len(queries(lambda: tasks.review_chunk(retailer_ids=[s.pk for s in shops]))) == 2


# What a hold does


def test_a_hold_refuses_credit_alone_and_is_seen():
    shop = make_retailer()
    open_order = make_order(shop, make_offer())
    owe(shop, late=31)
    orders.mark_overdue()
    with pytest.raises(CreditOnHold, match="more than 30 days late"):
        make_order(shop, make_offer())
    paid_before = make_order(shop, make_offer(), terms=PaymentTerms.CASH)
    assert advance(open_order, "DELIVERED").invoice_number
    assert advance(paid_before, "DELIVERED").invoice_number
    make_retailer()
    assert list(selectors.on_hold(Retailer.objects.all())) == [shop]


@pytest.mark.parametrize(("late", "held"), [(30, False), (31, True)])
def test_a_hold_begins_after_30_days_where_it_is_shown_and_where_it_refuses(late, held):
    shop = make_retailer()
    owe(shop, late=late)
    orders.mark_overdue()
    summary = selectors.credit_summary(retailer_actor(shop))
    standing = selectors.standing(retailer_id=shop.pk, vendor_id=None, hold_days=30)
    assert summary.on_hold is held
    assert standing.has_late_due is held
    assert selectors.on_hold(Retailer.objects.all()).exists() is held
    assert ("31 days late, more than 30" in summary.hold_reason) is held
