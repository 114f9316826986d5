"""Payments over HTTP: recorded by who was paid, allocated, read by both sides, reversed by staff."""

from decimal import Decimal

import pytest

from credit.models import CreditAccount, CreditLedger
from khaacho.enums import Role
from khaacho.models import IdempotencyKey
from orders.models import Order
from payments.models import Payment, PaymentAllocation
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, data, ids
from tests.factories import (
    advance,
    make_employee,
    make_offer,
    make_order,
    make_retailer,
    make_user,
    make_vendor,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return make_retailer()


@pytest.fixture
def offer():
    return make_offer(stock=1000)


@pytest.fixture
def order(shop, offer) -> Order:
    return advance(make_order(shop, offer, quantity=3), "DELIVERED")


@pytest.fixture
def vendor(offer) -> Caller:
    return Caller(offer.vendor.user)


def paid(shop, amount: str = "120.00", **fields) -> dict:
    return {"retailer_id": shop.pk, "amount": amount, "method": "CASH"} | fields


def assert_nothing_stored() -> None:
    assert Payment.objects.count() == PaymentAllocation.objects.count() == 0
    assert not CreditLedger.objects.filter(transaction_type="PAYMENT_CREDIT").exists()
    assert IdempotencyKey.objects.count() == 0


def test_a_vendor_records_what_it_received(shop, offer, order, vendor):
    response = vendor.post("payments/", paid(shop, reference="receipt 7", method="CHEQUE"))
    assert response.status_code == 201
    payment = Payment.objects.get()
    assert vendor.get(f"payments/{payment.pk}/").json() == response.json()
    answer = response.json()
    assert answer.pop("created_at")
    assert answer["allocations"][0].pop("created_at")
    assert answer == {
        "id": payment.pk,
        "payment_number": payment.payment_number,
        "status": "PROCESSED",
        "retailer_id": shop.pk,
        "retailer_name": shop.shop_name,
        "vendor_id": offer.vendor_id,
        "vendor_name": offer.vendor.business_name,
        "amount": "120.00",
        "allocated_amount": "120.00",
        "unallocated_amount": "0.00",
        "method": "CHEQUE",
        "reference": "receipt 7",
        "transaction_id": None,
        "allocations": [
            {
                "order_id": order.pk,
                "order_number": order.order_number,
                "amount": "120.00",
                "reversed_at": None,
            }
        ],
        "bounced": False,
        "reversal_reason": "",
        "reversed_at": None,
    }
    order.refresh_from_db()
    assert (order.paid_amount, order.payment_status) == (Decimal("120.00"), "PARTIAL")
    assert CreditAccount.objects.get().balance == Decimal("180.00")


def test_pays_the_orders_named_and_keeps_the_rest_as_credit(shop, offer, order, vendor):
    newer = advance(make_order(shop, offer, quantity=2), "DELIVERED")
    body = paid(shop, "150.00", allocations=[{"order_id": newer.pk, "amount": "90.00"}])
    answer = vendor.post("payments/", body).json()
    assert (answer["allocated_amount"], answer["unallocated_amount"]) == ("90.00", "60.00")
    assert [part["order_id"] for part in answer["allocations"]] == [newer.pk]
    order.refresh_from_db()
    assert order.paid_amount == 0


def test_staff_name_the_vendor(shop, offer, order):
    staff = Caller(make_employee())
    document = assert_problem(staff.post("payments/", paid(shop)), 400, "invalid")
    assert list(document["errors"]) == ["vendor_id"]
    response = staff.post("payments/", paid(shop, vendor_id=offer.vendor_id))
    assert (response.status_code, response.json()["vendor_id"]) == (201, offer.vendor_id)
    for field in ("retailer_id", "vendor_id"):
        body = paid(shop, vendor_id=offer.vendor_id) | {field: 99999999}
        document = assert_problem(staff.post("payments/", body), 400, "invalid")
        assert list(document["errors"]) == [field]


def test_a_vendor_records_for_itself_and_its_own_customers_alone(shop, offer, order, vendor):
    other = make_vendor()
    foreign = vendor.post("payments/", paid(shop, vendor_id=other.pk))
    assert_problem(foreign, 403, "permission_denied")
    stranger = make_retailer()
    for retailer_id in (stranger.pk, 99999999):
        response = vendor.post("payments/", paid(shop) | {"retailer_id": retailer_id})
        assert_problem(response, 404, "not_found")
    assert_problem(Caller(other.user).post("payments/", paid(shop)), 404, "not_found")
    assert_problem(Caller(shop.user).post("payments/", paid(shop)), 403, "permission_denied")
    assert_problem(Caller().post("payments/", paid(shop)), 401, "not_authenticated")
    assert_nothing_stored()
    assert CreditAccount.objects.count() == 1


def test_needs_a_key_and_takes_money_once(shop, order, vendor):
    assert_problem(vendor.post("payments/", paid(shop), key=None), 400, "idempotency_key_missing")
    first, again = (vendor.post("payments/", paid(shop), key="one") for _ in range(2))
    assert (again.status_code, again.content) == (201, first.content)
    assert Payment.objects.count() == 1
    reused = vendor.post("payments/", paid(shop, "121.00"), key="one")
    assert_problem(reused, 422, "idempotency_key_reused")


def test_the_same_transaction_is_taken_once(shop, order, vendor):
    body = paid(shop, transaction_id="ESW-1", method="MOBILE_MONEY")
    assert vendor.post("payments/", body).json()["transaction_id"] == "ESW-1"
    assert_problem(vendor.post("payments/", body), 422, "duplicate_transaction")
    assert vendor.post("payments/", body | {"method": "BANK_TRANSFER"}).status_code == 201


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-5.00"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": "10000000000.00"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "1,000"}, "amount"),
        ({"amount": "१००"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": [1]}, "amount"),
        ({"method": "GOLD"}, "method"),
        ({"method": None}, "method"),
        ({"reference": 7}, "reference"),
        ({"reference": "x" * 81}, "reference"),
        ({"retailer_id": "1"}, "retailer_id"),
        ({"retailer_id": 2**63}, "retailer_id"),
        ({"vendor_id": 1.5}, "vendor_id"),
        ({"allocations": {}}, "allocations"),
        ({"allocations": [{"order_id": 1}]}, "allocations.0.amount"),
        ({"allocations": [{"order_id": 0, "amount": "1"}]}, "allocations.0.order_id"),
        ({"allocations": [{"order_id": 1, "amount": "0"}]}, "allocations.0.amount"),
    ],
)
def test_refuses_bad_bodies(shop, order, vendor, fields, field):
    document = assert_problem(vendor.post("payments/", paid(shop) | fields), 400, "invalid")
    assert list(document["errors"]) == [field]
    assert_nothing_stored()


def test_refuses_allocations_that_do_not_fit(shop, offer, order, vendor):
    strange = advance(make_order(make_retailer(), offer), "DELIVERED")
    undelivered = make_order(shop, offer)
    for allocations in (
        [{"order_id": order.pk, "amount": "300.01"}],
        [{"order_id": order.pk, "amount": "121.00"}],
        [{"order_id": strange.pk, "amount": "1.00"}],
        [{"order_id": undelivered.pk, "amount": "1.00"}],
        [{"order_id": 99999999, "amount": "1.00"}],
        [{"order_id": order.pk, "amount": "70.00"}] * 2,
    ):
        response = vendor.post("payments/", paid(shop, allocations=allocations))
        assert_problem(response, 422, "allocation_invalid")
    assert_nothing_stored()


def test_payments_are_their_parties(shop, offer, order, vendor):
    own = vendor.post("payments/", paid(shop)).json()["id"]
    other_offer = make_offer()
    other = make_order(make_retailer(), other_offer)
    other = Caller(other_offer.vendor.user).post("payments/", paid(other.retailer)).json()["id"]
    for user in (shop.user, offer.vendor.user):
        assert ids(Caller(user).get("payments/")) == [own]
        assert Caller(user).get(f"payments/{own}/").json()["id"] == own
        assert_problem(Caller(user).get(f"payments/{other}/"), 404, "not_found")
    assert ids(Caller(make_employee()).get("payments/")) == [other, own]
    assert_problem(Caller().get("payments/"), 401, "not_authenticated")
    assert_problem(Caller().get(f"payments/{own}/"), 401, "not_authenticated")


def test_rows_and_filters_of_the_list(shop, offer, order, vendor):
    cash = vendor.post("payments/", paid(shop, reference="Receipt-9")).json()
    cheque = vendor.post("payments/", paid(shop, "50.00", method="CHEQUE")).json()
    row = data(vendor.get("payments/", method="CASH"))[0]
    assert row == {name: cash[name] for name in row}
    assert list(row) == [
        "id",
        "payment_number",
        "status",
        "retailer_id",
        "retailer_name",
        "vendor_id",
        "vendor_name",
        "amount",
        "allocated_amount",
        "method",
        "reference",
        "created_at",
    ]
    for params, expected in (
        ({}, [cheque, cash]),
        ({"method": ["CASH", "CHEQUE"]}, [cheque, cash]),
        ({"status": "REVERSED"}, []),
        ({"status": "PROCESSED"}, [cheque, cash]),
        ({"retailer_id": shop.pk}, [cheque, cash]),
        ({"vendor_id": 99999}, []),
        ({"search": "receipt"}, [cash]),
        ({"search": cheque["payment_number"]}, [cheque]),
        ({"sort": "-amount"}, [cash, cheque]),
        ({"created_after": cheque["created_at"]}, [cheque]),
        ({"created_before": cheque["created_at"]}, [cash]),
    ):
        found = ids(vendor.get("payments/", **params))
        assert found == [payment["id"] for payment in expected], params
    for name in ("method", "status", "vendor_id", "created_before", "sort", "cursor"):
        document = assert_problem(vendor.get("payments/", **{name: "?"}), 400, "invalid")
        assert list(document["errors"]) == [name]


def test_staff_reverse_a_bounced_cheque(shop, order, vendor):
    payment = vendor.post("payments/", paid(shop, "300.00", method="CHEQUE")).json()
    staff = Caller(make_user(Role.ADMIN, is_superuser=True))
    path = f"payments/{payment['id']}/reverse/"
    first = staff.post(path, {"reason": "no funds", "bounced": True}, key="r")
    answer = first.json()
    assert (answer["status"], answer["bounced"]) == ("REVERSED", True)
    assert (answer["reversal_reason"], answer["allocated_amount"]) == ("no funds", "0.00")
    assert answer["unallocated_amount"] == "0.00"
    assert answer["allocations"][0]["reversed_at"] is not None
    assert answer["reversed_at"] is not None
    order.refresh_from_db()
    assert (order.paid_amount, order.payment_status) == (0, "PENDING")
    assert CreditAccount.objects.get().balance == Decimal("300.00")
    again = staff.post(path, {"reason": "no funds", "bounced": True}, key="r")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    assert_problem(staff.post(path, {"reason": "no funds"}), 409, "not_reversible")
    assert CreditLedger.objects.count() == 3


def test_only_staff_reverse(shop, order, vendor):
    payment = vendor.post("payments/", paid(shop)).json()
    path = f"payments/{payment['id']}/reverse/"
    for user in (shop.user, order.vendor.user, make_vendor().user):
        assert_problem(Caller(user).post(path, {"reason": "x"}), 403, "permission_denied")
    assert_problem(Caller().post(path, {"reason": "x"}), 401, "not_authenticated")
    staff = Caller(make_employee())
    assert_problem(staff.post("payments/99999/reverse/", {"reason": "x"}), 404, "not_found")
    for body, field in (
        ({}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "x", "bounced": "maybe"}, "bounced"),
        ({"reason": "x", "bounced": True}, "bounced"),
    ):
        document = assert_problem(staff.post(path, body), 400, "invalid")
        assert list(document["errors"]) == [field]
    assert Payment.objects.get().payment_status == "PROCESSED"


def test_a_user_who_was_deactivated_moves_no_money(shop, order, vendor):
    order.vendor.user.is_active = False
    order.vendor.user.save()
    assert_problem(vendor.post("payments/", paid(shop)), 403, "account_inactive")
    assert_nothing_stored()


def test_lists_cost_the_same_at_any_length(shop, order, vendor):
    def add(number: int) -> None:
        for _ in range(number):
            vendor.post("payments/", paid(shop, "1.00"))

    assert_constant_queries(vendor, "payments/", add, at_most=2)


def test_support_moves_no_money():
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    support = Caller(make_employee("Support"))
    body = {
        "retailer_id": order.retailer_id,
        "vendor_id": order.vendor_id,
        "amount": "10.00",
        "method": "CASH",
    }
    assert_problem(support.post("payments/", body), 403, "permission_denied")
    assert not Payment.objects.exists()
