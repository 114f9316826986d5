"""Products, their offers and vendors: what everybody who signed in may read."""

from decimal import Decimal

import pytest

from khaacho.actors import SYSTEM
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, data, ids
from tests.factories import make_offer, make_product, make_retailer, make_user, make_vendor
from vendors import services as vendors
from vendors.models import Product, Vendor, VendorProduct

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Caller:
    return Caller(make_retailer().user)


def test_shows_a_product_with_its_best_offer(shop):
    product = make_product(name="Wai Wai Noodles", name_ne="वाइ वाइ", brand="CG", tax_rate=13)
    dear, cheap = make_offer(product=product, price=120), make_offer(product=product, price=110)
    assert shop.get(f"products/{product.pk}/").json() == {
        "id": product.pk,
        "sku": product.sku,
        "name": "Wai Wai Noodles",
        "name_ne": "वाइ वाइ",
        "brand": "CG",
        "category": "Rice",
        "sub_category": "",
        "unit": "piece",
        "pack_size": "",
        "tax_rate": "13.00",
        "min_quantity": 1,
        "max_quantity": 1000,
        "best_offer": {
            "id": cheap.pk,
            "vendor_id": cheap.vendor_id,
            "vendor_name": cheap.vendor.business_name,
            "price": "110.00",
            "available": 100,
        },
    }
    VendorProduct.objects.filter(pk=cheap.pk).update(stock=0)
    assert shop.get(f"products/{product.pk}/").json()["best_offer"]["id"] == dear.pk


def test_a_product_that_nobody_offers_has_no_best_offer(shop):
    product = make_product()
    assert shop.get(f"products/{product.pk}/").json()["best_offer"] is None
    assert ids(shop.get("products/")) == [product.pk]


def test_best_offer_is_never_one_that_cannot_be_ordered(shop):
    product = make_product()
    for change in ({"is_available": False}, {"deleted_at": "2026-01-01T00:00Z"}):
        VendorProduct.objects.filter(pk=make_offer(product=product, price=1).pk).update(**change)
    blocked = make_offer(product=product, price=1)
    vendors.block_vendor(vendor_id=blocked.vendor_id, reason="late", actor=SYSTEM)
    make_offer(make_vendor(approved=False), product, price=1)
    good = make_offer(product=product, price=99)
    assert data(shop.get("products/"))[0]["best_offer"]["id"] == good.pk
    assert ids(shop.get(f"products/{product.pk}/offers/")) == [good.pk]


def test_a_withdrawn_product_does_not_exist(shop):
    product = make_product(is_active=False)
    assert data(shop.get("products/")) == []
    assert_problem(shop.get(f"products/{product.pk}/"), 404, "not_found")
    assert_problem(shop.get(f"products/{product.pk}/offers/"), 404, "not_found")


def test_search_forgives_typing_errors_and_ranks(shop):
    noodles = make_product(name="Wai Wai Noodles 75g", name_ne="वाइ वाइ चाउचाउ")
    oil = make_product(name="Sunflower Oil 1L", aliases="tel|cooking oil", brand="Dhara")
    rice = make_product(name="Jeera Masino Rice 25kg")
    assert ids(shop.get("products/", search="noodels")) == [noodles.pk]
    assert ids(shop.get("products/", search="चाउचाउ")) == [noodles.pk]
    assert ids(shop.get("products/", search="sunflwer oil")) == [oil.pk]
    assert ids(shop.get("products/", search="dhara")) == [oil.pk]
    assert ids(shop.get("products/", search=rice.sku.lower())) == [rice.pk]
    assert ids(shop.get("products/", search="oil 1l"))[0] == oil.pk
    assert ids(shop.get("products/", search="%")) == []
    assert ids(shop.get("products/", search="cement")) == []


def test_a_search_walks_by_cursor_and_by_page(shop):
    names = ["Rice bran", "Ricebran oil", "Jeera rice", "Price tag", "Rice", "Liquorice"]
    made = [make_product(name=name).pk for name in names]
    whole = ids(shop.get("products/", search="rice"))
    assert whole == [made[4], made[0], made[2], made[1]]
    walked, cursor = [], ""
    while cursor is not None:
        page = shop.get("products/", search="rice", cursor=cursor, limit=2).json()
        walked += [row["id"] for row in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert walked == whole
    paged = [
        pk for n in (1, 2, 3) for pk in ids(shop.get("products/", search="rice", page=n, limit=2))
    ]
    assert paged == whole


def test_filters(shop):
    rice = make_product(name="A rice", category="Rice", sub_category="Fine", brand="Hulas")
    soap = make_product(name="B soap", category="Soap")
    cheap, dear = make_offer(product=rice, price=50), make_offer(product=rice, price=90)
    sold_out = make_offer(product=soap, price=70, stock=0)
    for params, expected in (
        ({}, [rice, soap]),
        ({"category": "Rice"}, [rice]),
        ({"category": "Ri"}, []),
        ({"sub_category": "Fine"}, [rice]),
        ({"brand": "Hulas"}, [rice]),
        ({"vendor": sold_out.vendor_id}, [soap]),
        ({"available": "true"}, [rice]),
        ({"available": "false"}, [soap]),
        ({"min_price": "60"}, [rice, soap]),
        ({"max_price": "60"}, [rice]),
        ({"min_price": "91"}, []),
        ({"sort": "-name"}, [soap, rice]),
    ):
        found = ids(shop.get("products/", **params))
        assert found == [product.pk for product in expected], params
    assert data(shop.get("products/", min_price="60"))[0]["best_offer"]["id"] == dear.pk
    assert data(shop.get("products/", vendor=cheap.vendor_id))[0]["best_offer"]["id"] == cheap.pk


@pytest.mark.parametrize(
    "params",
    [
        {"min_price": "cheap"},
        {"min_price": "NaN"},
        {"max_price": "1e99"},
        {"max_price": "-1"},
        {"vendor": "1.5"},
        {"vendor": "0"},
        {"vendor": str(2**63)},
        {"search": "x" * 101},
        {"sort": "best_offer"},
        {"sort": "name,name"},
        {"page": "0"},
        {"limit": "101"},
        {"cursor": "nonsense"},
    ],
)
def test_refuses_bad_parameters(shop, params):
    document = assert_problem(shop.get("products/", **params), 400, "invalid")
    assert list(document["errors"]) == list(params)


def test_offers_of_a_product_by_price(shop):
    product = make_product(tax_rate=13, unit="sack")
    dear, cheap = make_offer(product=product, price=80), make_offer(product=product, price=75)
    VendorProduct.objects.filter(pk=cheap.pk).update(stock=10, reserved=4)
    rows = data(shop.get(f"products/{product.pk}/offers/"))
    assert [row["id"] for row in rows] == [cheap.pk, dear.pk]
    assert rows[0] == {
        "id": cheap.pk,
        "product_id": product.pk,
        "product_name": product.name,
        "product_name_ne": "",
        "sku": product.sku,
        "category": "Rice",
        "unit": "sack",
        "vendor_id": cheap.vendor_id,
        "vendor_name": cheap.vendor.business_name,
        "vendor_rating": "0.00",
        "price": "75.00",
        "tax_rate": "13.00",
        "available": 6,
    }


def test_vendors_are_those_approved_best_rated_first(shop):
    low, high = make_vendor(), make_vendor()
    make_vendor(approved=False)
    blocked = make_vendor()
    vendors.block_vendor(vendor_id=blocked.pk, reason="late", actor=SYSTEM)
    Vendor.objects.filter(pk=high.pk).update(rating=Decimal("4.50"))
    assert ids(shop.get("vendors/")) == [high.pk, low.pk]
    assert data(shop.get("vendors/", search=low.business_name.lower()[2:], limit=1))
    assert ids(shop.get("vendors/", district="surkhet", sort="business_name")) == [low.pk, high.pk]
    assert ids(shop.get("vendors/", district="Kaski")) == []
    assert shop.get(f"vendors/{high.pk}/").json() == {
        "id": high.pk,
        "code": high.code,
        "business_name": high.business_name,
        "business_name_ne": "",
        "municipality": "Birendranagar",
        "district": "Surkhet",
        "province": "Karnali",
        "rating": "4.50",
    }
    assert_problem(shop.get(f"vendors/{blocked.pk}/"), 404, "not_found")
    assert_problem(shop.get(f"vendors/{blocked.pk}/products/"), 404, "not_found")


def test_catalogue_of_a_vendor(shop):
    vendor = make_vendor()
    soap = make_offer(vendor, make_product(name="Soap", category="Soap"), price=20)
    rice = make_offer(vendor, make_product(name="Rice"), price=90, stock=0)
    make_offer(price=1)
    path = f"vendors/{vendor.pk}/products/"
    assert ids(shop.get(path)) == [rice.pk, soap.pk]
    assert ids(shop.get(path, sort="price")) == [soap.pk, rice.pk]
    assert ids(shop.get(path, available="true")) == [soap.pk]
    assert ids(shop.get(path, available="false")) == [rice.pk]
    assert ids(shop.get(path, search="ric")) == [rice.pk]
    assert ids(shop.get(path, category="Soap")) == [soap.pk]


def test_every_role_may_read_the_catalogue():
    offer = make_offer()
    for user in (make_retailer().user, offer.vendor.user, make_user()):
        for path in ("products/", f"products/{offer.product_id}/", "vendors/"):
            assert Caller(user).get(path).status_code == 200
    for path in (
        "products/",
        f"products/{offer.product_id}/",
        f"products/{offer.product_id}/offers/",
        "vendors/",
        f"vendors/{offer.vendor_id}/",
        f"vendors/{offer.vendor_id}/products/",
    ):
        assert_problem(Caller().get(path), 401, "not_authenticated")


def test_answers_304_to_who_has_it_already(shop):
    make_offer()
    first = shop.get("products/")
    again = shop.client.get("/api/v1/products/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Product.objects.update(name="Another")
    changed = shop.client.get("/api/v1/products/", headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200


def test_lists_cost_the_same_at_any_length(shop):
    vendor, product = make_vendor(), make_product()
    assert_constant_queries(
        shop, "products/", lambda n: [make_offer() for _ in range(n)] and None, at_most=3
    )
    assert_constant_queries(
        shop,
        f"products/{product.pk}/offers/",
        lambda n: [make_offer(product=product) for _ in range(n)] and None,
        at_most=3,
    )
    assert_constant_queries(
        shop,
        f"vendors/{vendor.pk}/products/",
        lambda n: [make_offer(vendor) for _ in range(n)] and None,
        at_most=3,
    )
    Vendor.objects.update(is_approved=False)
    assert_constant_queries(
        shop, "vendors/", lambda n: [make_vendor() for _ in range(n)] and None, at_most=2
    )
