"""Registration, credit, ledger, statement and receivables: exact figures, and only one's own."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credit.models import CreditAccount, CreditLedger, Retailer
from credit.scoring import band as band_of
from khaacho.actors import SYSTEM
from khaacho.enums import Role
from khaacho.models import User
from orders.enums import PaymentTerms
from orders.models import Order
from payments import services as payments
from payments.enums import PaymentMethod
from payments.models import Payment
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, backdate, data, ids
from tests.factories import (
    advance,
    make_offer,
    make_order,
    make_retailer,
    make_user,
    make_vendor,
    vendor_actor,
)
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db

REGISTRATION = {
    "phone": "9812345678",
    "name": "Gita Thapa",
    "password": "monsoon-mango-42",
    "shop_name": "Gita Kirana",
    "municipality": "Birendranagar",
    "district": "Surkhet",
    "province": "Karnali",
}


def delivered(shop: Retailer, offer: VendorProduct, quantity: int = 1, **options) -> Order:
    return advance(make_order(shop, offer, quantity=quantity, **options), "DELIVERED")


def pay(shop: Retailer, offer: VendorProduct, amount: str) -> Payment:
    return payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=Decimal(amount),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )


def due(order: Order, days_ago: int) -> None:
    backdate(order, "due_date", days_ago)


# Registration


def test_registers_an_unapproved_shop_and_signs_it_in():
    response = Caller().post("auth/register/", REGISTRATION, key=None)
    assert response.status_code == 201
    shop = Retailer.objects.get()
    answer = response.json()
    assert (shop.shop_name, shop.is_approved, shop.credit_limit) == ("Gita Kirana", False, 0)
    assert (shop.user.phone, shop.user.role) == ("+9779812345678", Role.RETAILER)
    assert shop.user.check_password("monsoon-mango-42")
    assert answer["user"] == {
        "id": shop.user_id,
        "name": "Gita Thapa",
        "role": "RETAILER",
        "retailer_id": shop.pk,
        "vendor_id": None,
    }
    assert answer["retailer"]["code"] == shop.code
    assert answer["retailer"]["is_approved"] is False
    assert response["Cache-Control"] == "no-store"
    again = Caller()
    again.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {answer['access']}"
    assert again.get("credit/").status_code == 200
    signed_in = Caller().post(
        "auth/token/", {"phone": "981-2345678", "password": "monsoon-mango-42"}, key=None
    )
    assert signed_in.json()["user"]["retailer_id"] == shop.pk


@pytest.mark.parametrize("extra", [{"role": "ADMIN"}, {"is_superuser": True, "is_approved": True}])
def test_no_role_can_be_asked_for(extra):
    response = Caller().post(
        "auth/register/", REGISTRATION | extra | {"credit_limit": "9"}, key=None
    )
    assert response.json()["user"]["role"] == "RETAILER"
    shop = Retailer.objects.get()
    assert (shop.user.role, shop.user.is_superuser, shop.user.is_staff) == (
        "RETAILER",
        False,
        False,
    )
    assert (shop.is_approved, shop.credit_limit) == (False, 0)


@pytest.mark.parametrize("phone", ["9812345678", "+977 981-2345678", "00977 9812345678"])
def test_a_taken_phone_is_a_conflict_however_it_is_written(phone):
    User.objects.create_user("+9779812345678", "x", name="Sita", role=Role.VENDOR)
    response = Caller().post("auth/register/", REGISTRATION | {"phone": phone}, key=None)
    assert_problem(response, 409, "conflict")
    assert (User.objects.count(), Retailer.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phone", "12"),
        ("phone", "not a number"),
        ("phone", 9812345678),
        ("phone", None),
        ("password", "short"),
        ("password", "12345678901"),
        ("password", "password123"),
        ("password", "x" * 129),
        ("name", ""),
        ("name", "x" * 121),
        ("shop_name", "  "),
        ("shop_name", ["a"]),
        ("district", None),
        ("pan_number", "12345678"),
        ("pan_number", "१२३४५६७८९"),
    ],
)
def test_refuses_bad_registrations(field, value):
    response = Caller().post("auth/register/", REGISTRATION | {field: value}, key=None)
    assert list(assert_problem(response, 400, "invalid")["errors"]) == [field]
    assert User.objects.count() == 0


# Credit


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (900, "excellent"),
        (750, "excellent"),
        (749, "good"),
        (650, "good"),
        (649, "fair"),
        (550, "fair"),
        (549, "poor"),
        (450, "poor"),
        (449, "very_poor"),
        (300, "very_poor"),
    ],
)
def test_bands(score, band):
    assert band_of(score) == band


def test_credit_of_a_shop():
    shop = make_retailer(credit_limit=5000)
    first, second = make_offer(), make_offer(price=40)
    due(delivered(shop, first, 4), days_ago=3)
    delivered(shop, second, 5)
    make_order(shop, second, quantity=2)
    pay(shop, first, "150.00")
    CreditAccount.objects.filter(vendor_id=second.vendor_id).update(credit_limit=1000)
    make_order(make_retailer(), first)
    own, other = (
        CreditAccount.objects.get(retailer=shop, vendor_id=o.vendor_id) for o in (first, second)
    )
    assert Caller(shop.user).get("credit/").json() == {
        "credit_score": 630,
        "band": "fair",
        "credit_limit": "5000.00",
        "outstanding": "450.00",
        "reserved": "80.00",
        "available": "4470.00",
        "overdue": "250.00",
        "on_hold": False,
        "hold_reason": "",
        "accounts": [
            {
                "id": own.pk,
                "vendor_id": first.vendor_id,
                "vendor_name": first.vendor.business_name,
                "balance": "250.00",
                "reserved": "0.00",
                "credit_limit": None,
                "available": None,
                "overdue": "250.00",
                "payment_terms_days": 30,
                "is_frozen": False,
            },
            {
                "id": other.pk,
                "vendor_id": second.vendor_id,
                "vendor_name": second.vendor.business_name,
                "balance": "200.00",
                "reserved": "80.00",
                "credit_limit": "1000.00",
                "available": "720.00",
                "overdue": "0.00",
                "payment_terms_days": 30,
                "is_frozen": False,
            },
        ],
    }


def test_what_is_due_today_is_not_overdue_yet():
    shop, offer = make_retailer(), make_offer()
    due(delivered(shop, offer), days_ago=0)
    assert Caller(shop.user).get("credit/").json()["overdue"] == "0.00"


def test_credit_is_for_shops_alone():
    assert_problem(Caller().get("credit/"), 401, "not_authenticated")
    for user in (make_vendor().user, make_user(), make_user(Role.ADMIN)):
        assert_problem(Caller(user).get("credit/"), 403, "permission_denied")


def test_credit_costs_the_same_however_many_vendors(django_assert_num_queries):
    shop = make_retailer()
    for _ in range(12):
        make_order(shop, make_offer())
    caller = Caller(shop.user)
    with django_assert_num_queries(3):
        assert len(caller.get("credit/").json()["accounts"]) == 12


# Ledger


def test_ledger_with_running_balances():
    shop, offer = make_retailer(), make_offer()
    order, payment = delivered(shop, offer, 3), pay(shop, offer, "120.00")
    rows = data(Caller(shop.user).get("credit/ledger/"))
    entries = list(CreditLedger.objects.order_by("-sequence"))
    assert [row.pop("created_at") for row in rows]
    assert rows == [
        {
            "id": entries[0].pk,
            "entry_number": entries[0].entry_number,
            "account_id": entries[0].account_id,
            "retailer_id": shop.pk,
            "retailer_name": shop.shop_name,
            "vendor_id": offer.vendor_id,
            "vendor_name": offer.vendor.business_name,
            "sequence": 2,
            "transaction_type": "PAYMENT_CREDIT",
            "amount": "-120.00",
            "running_balance": "180.00",
            "reference": payment.payment_number,
            "due_date": None,
            "note": "",
        },
        {
            "id": entries[1].pk,
            "entry_number": entries[1].entry_number,
            "account_id": entries[0].account_id,
            "retailer_id": shop.pk,
            "retailer_name": shop.shop_name,
            "vendor_id": offer.vendor_id,
            "vendor_name": offer.vendor.business_name,
            "sequence": 1,
            "transaction_type": "ORDER_DEBIT",
            "amount": "300.00",
            "running_balance": "300.00",
            "reference": order.order_number,
            "due_date": order.due_date.isoformat(),
            "note": "",
        },
    ]


def test_ledger_shows_each_their_own():
    shop, offer, other_offer = make_retailer(), make_offer(), make_offer()
    delivered(shop, offer)
    delivered(shop, other_offer)
    delivered(make_retailer(), offer)
    mine, elsewhere, others = CreditLedger.objects.order_by("id").values_list("pk", flat=True)
    assert ids(Caller(shop.user).get("credit/ledger/")) == [elsewhere, mine]
    assert ids(Caller(offer.vendor.user).get("credit/ledger/")) == [others, mine]
    assert ids(Caller(make_user()).get("credit/ledger/")) == [others, elsewhere, mine]
    assert data(Caller(make_retailer().user).get("credit/ledger/")) == []
    assert data(Caller(make_vendor().user).get("credit/ledger/")) == []
    assert_problem(Caller().get("credit/ledger/"), 401, "not_authenticated")


def test_filters_of_the_ledger():
    shop, offer, other = make_retailer(), make_offer(), make_offer()
    order, payment = delivered(shop, offer), pay(shop, other, "10.00")
    debit, paid = CreditLedger.objects.order_by("id").values_list("pk", flat=True)
    caller = Caller(shop.user)
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    for params, expected in (
        ({"vendor_id": offer.vendor_id}, [debit]),
        ({"retailer_id": shop.pk}, [paid, debit]),
        ({"retailer_id": 99999}, []),
        ({"transaction_type": "PAYMENT_CREDIT"}, [paid]),
        ({"search": order.order_number}, [debit]),
        ({"search": payment.payment_number.lower()}, [paid]),
        ({"created_after": tomorrow}, []),
        ({"created_before": tomorrow}, [paid, debit]),
        ({"sort": "amount"}, [paid, debit]),
        ({"cursor": ""}, [paid, debit]),
    ):
        assert ids(caller.get("credit/ledger/", **params)) == expected, params
    for name in ("transaction_type", "vendor_id", "created_after", "sort"):
        document = assert_problem(caller.get("credit/ledger/", **{name: "hash!"}), 400, "invalid")
        assert list(document["errors"]) == [name]


@pytest.mark.parametrize(("params", "at_most"), [({}, 2), ({"cursor": ""}, 1)])
def test_ledger_costs_the_same_at_any_length(params, at_most):
    shop, offer = make_retailer(), make_offer()

    def add(number: int) -> None:
        for _ in range(number):
            pay(shop, offer, "1.00")

    caller = Caller(shop.user)
    assert_constant_queries(caller, "credit/ledger/", add, at_most=at_most, **params)


# Statement


def statement_days() -> dict[str, str]:
    today = timezone.localdate()
    return {"from": today.isoformat(), "to": today.isoformat()}


def test_statement_of_all_accounts_and_of_one():
    shop, offer, other = make_retailer(), make_offer(), make_offer(price=50)
    delivered(shop, offer, 3)
    delivered(shop, other, 1)
    pay(shop, offer, "120.00")
    caller = Caller(shop.user)
    answer = caller.get("credit/statement/", **statement_days()).json()
    entries = answer.pop("entries")
    assert answer == {
        "retailer_id": shop.pk,
        "retailer_code": shop.code,
        "retailer_name": shop.shop_name,
        "vendor_id": None,
        "opening_balance": "0.00",
        "total_debits": "350.00",
        "total_credits": "120.00",
        "closing_balance": "230.00",
        **statement_days(),
    }
    assert [(e["amount"], e["running_balance"], e["balance"]) for e in entries] == [
        ("300.00", "300.00", "300.00"),
        ("50.00", "50.00", "350.00"),
        ("-120.00", "180.00", "230.00"),
    ]
    one = caller.get("credit/statement/", vendor_id=offer.vendor_id).json()
    assert (one["closing_balance"], len(one["entries"])) == ("180.00", 2)
    tomorrow = (timezone.localdate() + timedelta(days=1)).isoformat()
    later = caller.get("credit/statement/", **{"from": tomorrow, "to": tomorrow}).json()
    assert (later["opening_balance"], later["entries"]) == ("230.00", [])
    assert later["closing_balance"] == "230.00"
    yesterday = (timezone.localdate() - timedelta(days=1)).isoformat()
    earlier = caller.get("credit/statement/", **{"from": yesterday, "to": yesterday}).json()
    assert (earlier["opening_balance"], earlier["closing_balance"]) == ("0.00", "0.00")


def test_statement_as_csv_with_formulas_neutralised():
    shop, offer = make_retailer(), make_offer()
    type(offer.vendor).objects.filter(pk=offer.vendor_id).update(business_name="=cmd|'/c calc'!A1")
    order, payment = delivered(shop, offer, 3), pay(shop, offer, "120.00")
    response = Caller(shop.user).get("credit/statement/", format="csv", **statement_days())
    today = timezone.localdate().isoformat()
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    name = f"statement-{shop.code}-{today}-{today}.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    first, second = CreditLedger.objects.order_by("sequence")
    vendor = "'=cmd|'/c calc'!A1"
    assert rows == [
        ["date", "entry_number", "type", "reference", "vendor", "due_date", "amount", "balance"],
        [today, "", "OPENING_BALANCE", "", "", "", "", "0.00"],
        [
            today,
            first.entry_number,
            "ORDER_DEBIT",
            order.order_number,
            vendor,
            order.due_date.isoformat(),
            "300.00",
            "300.00",
        ],
        [
            today,
            second.entry_number,
            "PAYMENT_CREDIT",
            payment.payment_number,
            vendor,
            "",
            "-120.00",
            "180.00",
        ],
        [today, "", "CLOSING_BALANCE", "", "", "", "", "180.00"],
    ]
    by_header = Caller(shop.user).client.get(
        "/api/v1/credit/statement/", headers={"Accept": "text/csv"}
    )
    assert by_header["Content-Type"] == "text/csv; charset=utf-8"


def test_statement_for_vendors_and_staff():
    shop, offer, other = make_retailer(), make_offer(), make_offer(price=50)
    delivered(shop, offer)
    delivered(shop, other)
    vendor, staff = Caller(offer.vendor.user), Caller(make_user())
    own = vendor.get("credit/statement/", retailer_id=shop.pk).json()
    assert (own["closing_balance"], own["vendor_id"]) == ("100.00", offer.vendor_id)
    assert staff.get("credit/statement/", retailer_id=shop.pk).json()["closing_balance"] == "150.00"
    for caller in (vendor, staff):
        document = assert_problem(caller.get("credit/statement/"), 400, "invalid")
        assert list(document["errors"]) == ["retailer_id"]
        nobody = caller.get("credit/statement/", retailer_id=99999)
        assert_problem(nobody, 404, "not_found")
    foreign = vendor.get("credit/statement/", retailer_id=shop.pk, vendor_id=other.vendor_id)
    assert_problem(foreign, 404, "not_found")
    stranger = Caller(make_vendor().user).get("credit/statement/", retailer_id=shop.pk)
    assert_problem(stranger, 404, "not_found")
    rival = Caller(make_retailer().user)
    assert_problem(rival.get("credit/statement/", retailer_id=shop.pk), 404, "not_found")
    assert_problem(rival.get("credit/statement/", vendor_id=offer.vendor_id), 404, "not_found")
    assert rival.get("credit/statement/").json()["closing_balance"] == "0.00"
    assert_problem(Caller().get("credit/statement/"), 401, "not_authenticated")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from": "2026-02-30"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "0000-00-00"}, "to"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ({"from": "2020-01-01", "to": "2026-01-01"}, "from"),
        ({"retailer_id": "x"}, "retailer_id"),
        ({"retailer_id": "0"}, "retailer_id"),
        ({"vendor_id": str(2**63)}, "vendor_id"),
        ({"vendor_id": "²"}, "vendor_id"),
        ({"format": "xml"}, "format"),
    ],
)
def test_refuses_bad_statements(params, field):
    response = Caller(make_retailer().user).get("credit/statement/", **params)
    assert list(assert_problem(response, 400, "invalid")["errors"]) == [field]


def test_statement_of_the_first_day_there_is():
    response = Caller(make_retailer().user).get("credit/statement/", to=date.min.isoformat())
    assert response.status_code in {200, 400}


def test_statement_costs_the_same_at_any_length(django_assert_num_queries):
    shop, offer = make_retailer(), make_offer()
    caller = Caller(shop.user)
    for payments_so_far in (1, 30):
        while Payment.objects.count() < payments_so_far:
            pay(shop, offer, "1.00")
        with django_assert_num_queries(3):
            answer = caller.get("credit/statement/").json()
        assert len(answer["entries"]) == payments_so_far


# Receivables


def test_receivables_age_by_due_date_and_add_up_to_the_ledger():
    shop, offer = make_retailer(), make_offer(stock=1000)
    for quantity, days_ago in (
        (1, -5),
        (2, 0),
        (4, 30),
        (8, 31),
        (16, 60),
        (32, 61),
        (64, 90),
        (128, 91),
    ):
        due(delivered(shop, offer, quantity, terms=PaymentTerms.CASH), days_ago)
    row = data(Caller(offer.vendor.user).get("vendor/receivables/"))[0]
    assert row == {
        "retailer_id": shop.pk,
        "retailer_code": shop.code,
        "retailer_name": shop.shop_name,
        "balance": "25500.00",
        "reserved": "0.00",
        "credit_limit": None,
        "overdue": "25200.00",
        "unapplied_credit": "0.00",
        "ageing": {
            "not_due": "100.00",
            "days_0_30": "600.00",
            "days_31_60": "2400.00",
            "days_61_90": "9600.00",
            "days_over_90": "12800.00",
        },
    }
    assert sum(map(Decimal, row["ageing"].values())) == CreditAccount.objects.get().balance


def test_receivables_keep_unapplied_credit_apart():
    shop, offer = make_retailer(), make_offer()
    delivered(shop, offer, 2)
    part = make_order(shop, make_offer(offer.vendor, price=70))
    advance(part, "DELIVERED")
    payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=Decimal("100.00"),
        method=PaymentMethod.CASH,
        allocations=[payments.Allocation(part.pk, Decimal("30.00"))],
        actor=vendor_actor(offer.vendor),
    )
    row = data(Caller(offer.vendor.user).get("vendor/receivables/"))[0]
    payment = Payment.objects.get()
    assert (row["balance"], row["ageing"]["not_due"]) == ("170.00", "240.00")
    assert row["unapplied_credit"] == "70.00" == str(payment.unallocated_amount)


def test_receivables_are_the_vendors_own():
    shop, offer, other = make_retailer(), make_offer(), make_offer()
    delivered(shop, offer)
    make_order(make_retailer(), offer)
    delivered(make_retailer(), other)
    caller = Caller(offer.vendor.user)
    assert [row["retailer_id"] for row in data(caller.get("vendor/receivables/"))] == [shop.pk]
    assert data(caller.get("vendor/receivables/", search=shop.code))
    assert data(caller.get("vendor/receivables/", search="nobody")) == []
    assert data(Caller(make_vendor().user).get("vendor/receivables/")) == []
    assert_problem(Caller().get("vendor/receivables/"), 401, "not_authenticated")
    for user in (shop.user, make_user()):
        assert_problem(Caller(user).get("vendor/receivables/"), 403, "permission_denied")


def test_receivables_sort_by_balance_and_walk_by_cursor():
    offer = make_offer()
    small, large = make_retailer(), make_retailer()
    delivered(small, offer, 1)
    delivered(large, offer, 2)
    caller = Caller(offer.vendor.user)
    first = caller.get("vendor/receivables/", cursor="", limit=1).json()
    assert first["data"][0]["retailer_id"] == large.pk
    cursor = first["pagination"]["next_cursor"]
    second = caller.get("vendor/receivables/", cursor=cursor, limit=1).json()
    assert second["data"][0]["retailer_id"] == small.pk


def test_receivables_cost_the_same_at_any_length():
    offer = make_offer()

    def add(number: int) -> None:
        for _ in range(number):
            pay(make_retailer(), offer, "5.00")

    assert_constant_queries(Caller(offer.vendor.user), "vendor/receivables/", add, at_most=3)
