"""The score by API: explained, one's own, and its history."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credit.models import CreditScore
from khaacho.actors import SYSTEM
from payments import scores
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, data, queries
from tests.factories import (
    advance,
    backdate_due,
    make_employee,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
)

pytestmark = pytest.mark.django_db


def delivered(shop, price=100):
    return advance(make_order(shop, make_offer(price=price)), "DELIVERED")


def late_shop():
    """A shop with a limit of 1,000, one invoice of 100 that is 40 days late, scored."""
    shop = make_retailer(credit_limit=1000)
    order = delivered(shop)
    backdate_due(order, 70)
    scores.rescore(retailer_ids=[shop.pk])
    return shop, order


def test_a_score_is_explained():
    shop, order = late_shop()
    kept = CreditScore.objects.get()
    due = timezone.localdate() - timedelta(days=40)
    answer = Caller(shop.user).get("credit/score/").json()
    advice = answer.pop("advice")
    assert answer == {
        "retailer_id": shop.pk,
        "score": 634,
        "band": "fair",
        "version": "v1",
        "provisional": True,
        "base": 300,
        "components": [
            {
                "code": "payment",
                "name": "Payment",
                "earned": 187,
                "possible": 360,
                "sentence": "1 of 1 invoice late, worst 40 days",
            },
            {
                "code": "utilisation",
                "name": "Utilisation",
                "earned": 90,
                "possible": 90,
                "sentence": "10 % of the limit in use on average of 90 days",
            },
            {
                "code": "disputes",
                "name": "Disputes",
                "earned": 46,
                "possible": 60,
                "sentence": "0 disputes in 1 order",
            },
            {
                "code": "consistency",
                "name": "Consistency",
                "earned": 11,
                "possible": 60,
                "sentence": "Orders in 1 of the last 13 periods of 28 days",
            },
            {
                "code": "tenure",
                "name": "Tenure",
                "earned": 0,
                "possible": 30,
                "sentence": "A customer for 0 months, 24 earn all points",
            },
        ],
        "cap": 649,
        "cap_reason": "The oldest due is 40 days late (more than 30): at most 649",
        "cap_points": 0,
        "explanation": [
            "The oldest due is 40 days late (more than 30): at most 649",
            "Provisional: fewer than 3 invoices settled so far",
            "1 of 1 invoice late, worst 40 days: −173",
            "Orders in 1 of the last 13 periods of 28 days: −49",
            "A customer for 0 months, 24 earn all points: −30",
        ],
        "computed_at": kept.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert advice[0].pop("sentence").startswith(f"{order.order_number} (due {due}, 40 days late")
    assert advice[0].pop("score_in_30_days_if_paid") in (634, 636)  # a month's tenure more, or not
    assert advice == [
        {
            "order_number": order.order_number,
            "due_date": str(due),
            "due_amount": "100.00",
            "days_late": 40,
            "score_if_paid": 634,
            "score_in_30_days_if_unpaid": 549,
        }
    ]


def test_what_was_never_scored_is_shown_as_a_stranger():
    shop = make_retailer()
    answer = Caller(shop.user).get("credit/score/").json()
    assert (answer["score"], answer["provisional"], answer["computed_at"]) == (630, True, None)
    assert Caller(shop.user).get("credit/").json()["credit_score"] == 630


def test_credit_shows_the_stored_score_at_once():
    shop, _ = late_shop()
    caller = Caller(shop.user)
    shown = caller.get("credit/").json()
    assert (shown["credit_score"], shown["band"]) == (634, "fair")
    assert shown["on_hold"] is True
    assert shown["hold_reason"] == (
        "The oldest due is 40 days late, more than 30: new orders on credit are held, cash is welcome."
    )


@pytest.mark.django_db(transaction=True)
def test_a_new_score_ends_the_cached_one():
    shop = make_retailer()
    caller = Caller(shop.user)
    assert caller.get("credit/").json()["credit_score"] == 630
    delivered(shop)
    caller.get("credit/")
    scores.rescore(retailer_ids=[shop.pk])
    shop.refresh_from_db()
    assert shop.credit_score != 630
    assert caller.get("credit/").json()["credit_score"] == shop.credit_score


def test_staff_name_the_shop_and_a_shop_may_name_itself_alone():
    shop, _ = late_shop()
    other = make_retailer()
    staff = Caller(make_employee())
    assert staff.get("credit/score/", retailer_id=shop.pk).json()["score"] == 634
    assert_problem(staff.get("credit/score/"), 400, "invalid")
    assert_problem(staff.get("credit/score/", retailer_id=10**9), 404, "not_found")
    assert_problem(staff.get("credit/score/", retailer_id="x"), 400, "invalid")
    own = Caller(shop.user)
    assert own.get("credit/score/", retailer_id=shop.pk).json()["score"] == 634
    assert_problem(own.get("credit/score/", retailer_id=other.pk), 404, "not_found")
    assert_problem(Caller(make_vendor().user).get("credit/score/"), 403, "permission_denied")


def test_history_is_ones_own_the_newest_first():
    shop, order = late_shop()
    backdate_due(order, 1)
    scores.rescore(retailer_ids=[shop.pk])
    other, _ = late_shop()
    rows = data(Caller(shop.user).get("credit/score/history/"))
    assert [row["cap_reason"][18:31] for row in rows] == ["41 days late ", "40 days late "]
    newest = CreditScore.objects.filter(retailer=shop).latest("created_at", "pk")
    assert rows[0] == {
        "id": newest.pk,
        "retailer_id": shop.pk,
        "score": newest.score,
        "band": "fair",
        "version": "v1",
        "provisional": True,
        "cap": 649,
        "cap_reason": "The oldest due is 41 days late (more than 30): at most 649",
        "components": newest.components,
        "computed_at": newest.created_at.isoformat().replace("+00:00", "Z"),
    }
    staff = Caller(make_employee())
    assert len(data(staff.get("credit/score/history/"))) == 3
    assert len(data(staff.get("credit/score/history/", retailer_id=other.pk, cursor=""))) == 1
    assert data(Caller(shop.user).get("credit/score/history/", retailer_id=other.pk)) == []


@pytest.mark.parametrize(
    ("number", "band"),
    [(750, "excellent"), (749, "good"), (550, "fair"), (450, "poor"), (449, "very_poor")],
)
def test_history_names_bands(number, band):
    shop = make_retailer()
    CreditScore.objects.create(retailer=shop, score=number, version="v1", inputs={}, components=[])
    [row] = data(Caller(shop.user).get("credit/score/history/"))
    assert row["band"] == band


def test_a_score_costs_the_same_with_one_due_and_with_many():
    shop, order = late_shop()
    caller = Caller(shop.user)
    payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=order.vendor_id,
        amount=Decimal(100),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    delivered(shop)
    one = queries(lambda: caller.get("credit/score/"))
    for _ in range(5):
        delivered(shop, price=10)
    many = queries(lambda: caller.get("credit/score/"))
    assert len(one) == len(many) == 9


def test_a_history_costs_the_same_with_one_row_and_with_50():
    shop = make_retailer()

    def add(rows: int) -> None:
        for _ in range(rows):
            CreditScore.objects.create(
                retailer=shop, score=600, version="v1", inputs={}, components=[]
            )

    assert_constant_queries(Caller(shop.user), "credit/score/history/", add, at_most=2)
