"""A vendor's own offers: prices, stock and availability, one by one and as a price list."""

import threading

import pytest
from django.db import connection

from khaacho.actors import SYSTEM
from orders.enums import PaymentTerms
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, data, ids
from tests.factories import (
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_user,
    make_vendor,
)
from vendors import services as vendors
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db


@pytest.fixture
def vendor():
    return make_vendor()


@pytest.fixture
def caller(vendor) -> Caller:
    return Caller(vendor.user)


def figures(offer: VendorProduct) -> tuple:
    offer.refresh_from_db()
    return str(offer.vendor_price), offer.stock, offer.reserved, offer.is_available


def test_offers_a_product(caller, vendor):
    product = make_product()
    response = caller.post(
        "vendor/products/", {"product_id": product.pk, "price": "125.50", "stock": 40}
    )
    assert response.status_code == 201
    offer = VendorProduct.objects.get()
    answer = response.json()
    assert answer.pop("created_at") == answer.pop("updated_at")
    assert answer == {
        "id": offer.pk,
        "product_id": product.pk,
        "product_name": product.name,
        "sku": product.sku,
        "category": "Rice",
        "price": "125.50",
        "stock": 40,
        "reserved": 0,
        "available": 40,
        "is_available": True,
    }
    assert (offer.vendor_id, *figures(offer)) == (vendor.pk, "125.50", 40, 0, True)


def test_a_product_is_offered_once_and_comes_back_after_withdrawal(caller, vendor):
    offer = make_offer(vendor)
    body = {"product_id": offer.product_id, "price": "90", "stock": 5}
    assert_problem(caller.post("vendor/products/", body), 422, "offer_exists")
    assert caller.delete(f"vendor/products/{offer.pk}/").status_code == 204
    assert data(caller.get("vendor/products/")) == []
    assert_problem(caller.delete(f"vendor/products/{offer.pk}/"), 404, "not_found")
    assert_problem(caller.patch(f"vendor/products/{offer.pk}/", {"stock": 1}), 404, "not_found")
    assert caller.post("vendor/products/", body).json()["id"] == offer.pk
    assert figures(offer) == ("90.00", 5, 0, True)


def test_the_same_key_offers_once(caller):
    product = make_product()
    body = {"product_id": product.pk, "price": "90.00", "stock": 5}
    first = caller.post("vendor/products/", body, key="once")
    again = caller.post("vendor/products/", body, key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    other = caller.post("vendor/products/", body | {"stock": 6}, key="once")
    assert_problem(other, 422, "idempotency_key_reused")


def test_changes_price_stock_and_availability(caller, vendor):
    offer = make_offer(vendor, stock=10)
    path = f"vendor/products/{offer.pk}/"
    assert caller.patch(path, {"price": "99.99"}).json()["price"] == "99.99"
    assert caller.patch(path, {"stock": 7}).json()["stock"] == 7
    assert caller.patch(path, {"stock_delta": -3}).json()["stock"] == 4
    assert caller.patch(path, {"is_available": False}).json()["is_available"] is False
    assert caller.patch(path, {}).status_code == 200
    assert figures(offer) == ("99.99", 4, 0, False)


def test_stock_never_falls_below_what_orders_reserved(caller, vendor):
    offer = make_offer(vendor, stock=10)
    make_order(make_retailer(), offer, quantity=6, terms=PaymentTerms.CASH)
    path = f"vendor/products/{offer.pk}/"
    for body in ({"stock": 5}, {"stock_delta": -5}):
        document = assert_problem(caller.patch(path, body), 422, "stock_below_reserved")
        assert document["reserved"] == 6
    assert caller.patch(path, {"stock_delta": -4}).json()["available"] == 0
    assert figures(offer) == ("100.00", 6, 6, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"price": "0"}, "price"),
        ({"price": "-5.00"}, "price"),
        ({"price": "1.005"}, "price"),
        ({"price": "99999999999"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": True}, "price"),
        ({"price": None}, "price"),
        ({"stock": -1}, "stock"),
        ({"stock": 1.5}, "stock"),
        ({"stock": "7"}, "stock"),
        ({"stock": True}, "stock"),
        ({"stock": 2**31}, "stock"),
        ({"stock_delta": -(2**31)}, "stock_delta"),
        ({"stock_delta": -101}, "stock"),
        ({"stock_delta": 2**31 - 1}, "stock"),
        ({"stock": 1, "stock_delta": 1}, "stock_delta"),
        ({"is_available": "perhaps"}, "is_available"),
    ],
)
def test_refuses_bad_figures(caller, vendor, body, field):
    offer = make_offer(vendor)
    document = assert_problem(caller.patch(f"vendor/products/{offer.pk}/", body), 400, "invalid")
    assert list(document["errors"]) == [field]
    assert figures(offer) == ("100.00", 100, 0, True)


@pytest.mark.parametrize("product_id", [0, -1, 2**63, 99999999, "1", 1.0, True, None, [1]])
def test_refuses_bad_products(caller, product_id):
    body = {"product_id": product_id, "price": "10", "stock": 1}
    document = assert_problem(caller.post("vendor/products/", body), 400, "invalid")
    assert list(document["errors"]) == ["product_id"]
    assert VendorProduct.objects.count() == 0


def test_another_vendor_finds_nothing(vendor):
    offer = make_offer(vendor)
    stranger = Caller(make_vendor().user)
    path = f"vendor/products/{offer.pk}/"
    assert data(stranger.get("vendor/products/")) == []
    assert_problem(stranger.patch(path, {"price": "1.00"}), 404, "not_found")
    assert_problem(stranger.delete(path), 404, "not_found")
    row = {"product_id": offer.product_id, "price": "1.00"}
    assert stranger.post("vendor/products/bulk/", {"items": [row]}).json()["created"] == 1
    assert figures(offer) == ("100.00", 100, 0, True)


def test_is_for_vendors_alone(vendor):
    offer = make_offer(vendor)
    for user, status in ((None, 401), (make_retailer().user, 403), (make_user(), 403)):
        caller = Caller(user)
        for response in (
            caller.get("vendor/products/"),
            caller.post("vendor/products/", {"product_id": 1, "price": "1", "stock": 1}, key=None),
            caller.patch(f"vendor/products/{offer.pk}/", {"stock": 0}),
            caller.delete(f"vendor/products/{offer.pk}/"),
            caller.post("vendor/products/bulk/", {"items": [{"product_id": 1}]}, key=None),
        ):
            assert response.status_code == status
    assert figures(offer) == ("100.00", 100, 0, True)


def test_a_user_who_was_deactivated_changes_nothing(caller, vendor):
    offer = make_offer(vendor)
    vendor.user.is_active = False
    vendor.user.save()
    assert caller.get("vendor/products/").status_code == 200
    response = caller.patch(f"vendor/products/{offer.pk}/", {"stock": 1})
    assert_problem(response, 403, "account_inactive")
    response = caller.post("vendor/products/bulk/", {"items": [{"product_id": offer.product_id}]})
    assert_problem(response, 403, "account_inactive")


def test_list_filters_and_sorts(caller, vendor):
    soap = make_offer(vendor, make_product(name="Soap", category="Soap"), price=20, stock=0)
    rice = make_offer(vendor, make_product(name="Rice"), price=90)
    vendors.change_offer(offer_id=rice.pk, is_available=False, actor=SYSTEM)
    for params, expected in (
        ({}, [rice, soap]),
        ({"sort": "price"}, [soap, rice]),
        ({"sort": "-stock"}, [rice, soap]),
        ({"is_available": "true"}, [soap]),
        ({"available": "true"}, [rice]),
        ({"search": "so"}, [soap]),
        ({"category": "Soap"}, [soap]),
    ):
        found = ids(caller.get("vendor/products/", **params))
        assert found == [offer.pk for offer in expected], params
    assert_constant_queries(
        caller,
        "vendor/products/",
        lambda n: [make_offer(vendor) for _ in range(n)] and None,
        at_most=2,
    )


def test_price_list_creates_changes_and_brings_back(caller, vendor):
    known, gone, new = make_offer(vendor), make_offer(vendor), make_product()
    vendors.withdraw_offer(offer_id=gone.pk, actor=SYSTEM)
    response = caller.post(
        "vendor/products/bulk/",
        {
            "items": [
                {"product_id": known.product_id, "price": "80.00", "stock_delta": 5},
                {"product_id": new.pk, "price": "15.00", "stock": 9, "is_available": False},
                {"product_id": gone.product_id, "price": "7.00", "stock": 3},
                {"product_id": 99999999, "price": "1.00"},
            ]
        },
    )
    assert response.status_code == 200
    created = VendorProduct.objects.get(product=new)
    answer = response.json()
    assert (answer["created"], answer["updated"], answer["refused"]) == (2, 1, 1)
    assert answer["results"] == [
        {
            "index": 0,
            "product_id": known.product_id,
            "outcome": "updated",
            "offer_id": known.pk,
            "price": "80.00",
            "stock": 105,
            "code": "",
            "detail": "",
            "errors": {},
        },
        {
            "index": 1,
            "product_id": new.pk,
            "outcome": "created",
            "offer_id": created.pk,
            "price": "15.00",
            "stock": 9,
            "code": "",
            "detail": "",
            "errors": {},
        },
        {
            "index": 2,
            "product_id": gone.product_id,
            "outcome": "created",
            "offer_id": gone.pk,
            "price": "7.00",
            "stock": 3,
            "code": "",
            "detail": "",
            "errors": {},
        },
        {
            "index": 3,
            "product_id": 99999999,
            "outcome": "refused",
            "offer_id": None,
            "price": None,
            "stock": None,
            "code": "invalid",
            "detail": "The request is malformed.",
            "errors": {"product_id": ["There is no such product, or it came before."]},
        },
    ]
    assert figures(known) == ("80.00", 105, 0, True)
    assert figures(created) == ("15.00", 9, 0, False)
    assert figures(gone) == ("7.00", 3, 0, True)


def test_each_row_of_a_price_list_is_judged_by_itself(caller, vendor):
    offer = make_offer(vendor, stock=10)
    make_order(make_retailer(), offer, quantity=6)
    product, other = make_product(), make_product()
    rows = [
        ({"product_id": offer.product_id, "stock": 5}, "stock_below_reserved", None),
        ({"product_id": product.pk}, "invalid", "price"),
        ({"product_id": product.pk, "price": "-1"}, "invalid", "price"),
        ({"product_id": "x", "price": "1"}, "invalid", "product_id"),
        ({"price": "1"}, "invalid", "product_id"),
        ("not an object", "invalid", "non_field_errors"),
        ({"product_id": other.pk, "price": "2.00", "stock": 2}, "", None),
        ({"product_id": other.pk, "price": "3.00", "stock": 3}, "invalid", "product_id"),
    ]
    answer = caller.post("vendor/products/bulk/", {"items": [row for row, _, _ in rows]}).json()
    for (row, code, field), result in zip(rows, answer["results"], strict=True):
        assert result["code"] == code, row
        assert list(result["errors"]) == ([field] if field else []), row
    assert (answer["created"], answer["refused"]) == (1, 7)
    assert figures(VendorProduct.objects.get(product=other)) == ("2.00", 2, 0, True)
    assert figures(offer) == ("100.00", 10, 6, True)


@pytest.mark.parametrize("items", [[], None, {}, "rows", [{"product_id": 1}] * 501])
def test_refuses_no_rows_and_too_many(caller, items):
    document = assert_problem(
        caller.post("vendor/products/bulk/", {"items": items}), 400, "invalid"
    )
    assert list(document["errors"]) == ["items"]


def test_a_price_list_of_500_rows_costs_as_many_statements_as_one(
    caller, django_assert_max_num_queries
):
    rows = [{"product_id": make_product().pk, "price": "5.00", "stock": 1} for _ in range(500)]
    with django_assert_max_num_queries(12):
        assert caller.post("vendor/products/bulk/", {"items": rows}).json()["created"] == 500
    with django_assert_max_num_queries(12):
        assert caller.post("vendor/products/bulk/", {"items": rows}).json()["updated"] == 500


@pytest.mark.django_db(transaction=True)
def test_deltas_at_once_all_count():
    vendor = make_vendor()
    offer = make_offer(vendor, stock=0)
    callers = [Caller(vendor.user) for _ in range(4)]
    barrier = threading.Barrier(len(callers))
    row = {"product_id": offer.product_id, "stock_delta": 5}

    def change(caller: Caller, index: int) -> None:
        barrier.wait()
        for _ in range(5):
            if index % 2:
                response = caller.patch(f"vendor/products/{offer.pk}/", {"stock_delta": 5})
            else:
                response = caller.post("vendor/products/bulk/", {"items": [row]})
            assert response.status_code == 200
        connection.close()

    threads = [threading.Thread(target=change, args=(c, i)) for i, c in enumerate(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures(offer) == ("100.00", 100, 0, True)
