"""What a hostile or careless client sends: a clear refusal, nothing stored, never a 500."""

import json

import pytest

from khaacho.models import IdempotencyKey, Job, User
from orders.models import Order, OrderItem, OrderRefusal
from payments.models import Payment
from tests.api.clients import JSON, assert_problem
from tests.api.trade import BASE, Caller, fresh_key
from tests.factories import make_employee, make_offer, make_retailer
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db

HUGE = 10**40
QUANTITIES = [0, -1, -(2**63), 2**31, 2**63, HUGE, 1.5, 1.0, True, "3", "", None, [], {}, "३"]
PRODUCTS = [0, -1, 2**63, HUGE, 1.0, True, "1", "", None, [], {}]


@pytest.fixture
def offer() -> VendorProduct:
    return make_offer()


@pytest.fixture
def caller() -> Caller:
    return Caller(make_retailer().user)


def assert_nothing_stored() -> None:
    assert Order.objects.count() == OrderItem.objects.count() == Payment.objects.count() == 0
    assert OrderRefusal.objects.count() == IdempotencyKey.objects.count() == 0
    assert Job.objects.filter(kind="orders.route").count() == 0
    assert not VendorProduct.objects.filter(reserved__gt=0).exists()


def wanted(offer: VendorProduct, quantity: object = 1, **fields: object) -> dict:
    items = [{"product_id": offer.product_id, "quantity": quantity}]
    return {"items": items, "payment_terms": "CASH"} | fields


@pytest.mark.parametrize("path", ["orders/", "orders/quote/"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_absurd_quantities(caller, offer, path, quantity):
    response = caller.post(path, wanted(offer, quantity))
    assert list(assert_problem(response, 400, "invalid")["errors"]) == ["items.0.quantity"]
    assert_nothing_stored()


@pytest.mark.parametrize("product_id", PRODUCTS)
def test_absurd_products(caller, offer, product_id):
    body = wanted(offer, items=[{"product_id": product_id, "quantity": 1}])
    document = assert_problem(caller.post("orders/", body), 400, "invalid")
    assert list(document["errors"]) == ["items.0.product_id"]
    assert_nothing_stored()


@pytest.mark.parametrize("path", ["orders/", "orders/quote/"])
def test_unknown_products_are_named(caller, offer, path):
    body = wanted(offer, items=[{"product_id": 2**62, "quantity": 1}])
    document = assert_problem(caller.post(path, body), 400, "invalid")
    assert document["errors"] == {"items": [f"There is no product {2**62}."]}
    assert_nothing_stored()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": {}}, "items"),
        ({"items": "rice"}, "items"),
        ({"items": [1]}, "items.0"),
        ({"items": [None]}, "items.0"),
        ({"items": [[]]}, "items.0"),
        ({"payment_terms": "LATER"}, "payment_terms"),
        ({"payment_terms": None}, "payment_terms"),
        ({"payment_terms": ["CASH"]}, "payment_terms"),
        ({"payment_terms": {"a": 1}}, "payment_terms"),
        ({"vendor_id": "1"}, "vendor_id"),
        ({"vendor_id": 0}, "vendor_id"),
        ({"vendor_id": 2**63}, "vendor_id"),
        ({"vendor_id": True}, "vendor_id"),
        ({"retailer_id": HUGE}, "retailer_id"),
        ({"notes": 5}, "notes"),
        ({"notes": "x" * 501}, "notes"),
        ({"notes": ["a"]}, "notes"),
    ],
)
def test_wrong_types(caller, offer, fields, field):
    document = assert_problem(caller.post("orders/", wanted(offer, **fields)), 400, "invalid")
    assert list(document["errors"]) == [field]
    assert_nothing_stored()


def test_more_items_than_an_order_has(caller, offer):
    items = [{"product_id": offer.product_id, "quantity": 1}] * 201
    document = assert_problem(caller.post("orders/", wanted(offer, items=items)), 400, "invalid")
    assert list(document["errors"]) == ["items"]
    assert_nothing_stored()
    response = caller.post("orders/", wanted(offer, items=items[:100]))
    assert response.json()["items"][0]["quantity"] == 100


def test_quantities_that_overflow_together(caller, offer):
    items = [{"product_id": offer.product_id, "quantity": 2**31 - 1}] * 2
    document = assert_problem(caller.post("orders/", wanted(offer, items=items)), 400, "invalid")
    assert list(document["errors"]) == ["items"]
    assert_nothing_stored()


RAW = [
    (b"", 400),
    (b"{", 400),
    (b"nonsense", 400),
    (b"[]", 400),
    (b"5", 400),
    (b"null", 400),
    (b'"text"', 400),
    (b"{} {}", 400),
    (b"{'items': []}", 400),
    (b'{"items": NaN}', 400),
    (b'{"items": Infinity}', 400),
    (b'{"notes": "a\\u0000b"}', 400),
    (b'{"notes": "\\ud800"}', 400),
    (b'{"\\u0000": 1}', 400),
    (b'{"notes": "\xff\xfe"}', 400),
    (b'{"items": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
    (b'{"items": ' + b"9" * 5000 + b"}", 400),
    (b'{"notes": "' + b"x" * 1_100_000 + b'"}', 413),
]
WRITES = ["orders/", "orders/quote/", "payments/", "vendor/products/", "vendor/products/bulk/"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(("raw", "status"), RAW, ids=lambda value: repr(value)[:24])
def test_bodies_that_are_not_our_json(caller, offer, path, raw, status):
    who = {"payments/": Caller(make_employee()), "orders/": caller, "orders/quote/": caller}
    sender = who.get(path, Caller(offer.vendor.user))
    headers = {"Idempotency-Key": fresh_key()}
    response = sender.client.post(BASE + path, raw, content_type=JSON, headers=headers)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert_nothing_stored()


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "x" * 300],
)
def test_other_content_types(caller, content_type):
    headers = {"Idempotency-Key": fresh_key()}
    response = caller.client.post(
        BASE + "orders/", b"{}", content_type=content_type, headers=headers
    )
    assert response.status_code == 415
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "ключ", "a b", "a\tb"])
def test_keys_that_are_none(caller, offer, key):
    headers = {"Idempotency-Key": key}
    response = caller.client.post(
        BASE + "orders/", json.dumps(wanted(offer)), content_type=JSON, headers=headers
    )
    assert response.status_code == 400
    assert_nothing_stored()


LISTS = [
    "products/",
    "vendors/",
    "vendor/products/",
    "orders/",
    "credit/ledger/",
    "vendor/receivables/",
    "payments/",
]
QUERIES = [
    "search=%00",
    "search=" + "x" * 5000,
    "search=%F0%9F%8D%9A%25_%5C",
    "search='%20OR%201=1--",
    "cursor=%00",
    "cursor=" + "A" * 5000,
    "cursor=W10:1:1",
    "page=99999999999999999999",
    "page=-1",
    "page=1.5",
    "page=२",
    "limit=1e2",
    "limit=&page=",
    "limit=5&limit=900",
    "page=1&cursor=",
    "sort=password",
    "sort=-",
    "sort=,",
    "sort=--created_at",
    "created_after=9999-12-31T23:59:59Z",
    "created_after=0001-01-01T00:00:00%2B14:00",
    "created_before=2026-01-01",
    "created_before=99999-01-01T00:00:00Z",
    "status=PLACED&status=%00",
    "status[]=x&vendor_id=",
    "vendor_id=1&vendor_id=x",
    "retailer_id=-9223372036854775809",
    "retailer_id=1e2",
    "min_price=1e-400",
    "max_price=sNaN",
    "vendor=%20",
    "available=maybe",
    "a=b=c&&=;",
    "%ff=%ff&search=%ff",
]


@pytest.mark.parametrize("path", LISTS)
def test_queries_never_break_a_list(offer, path):
    callers = [Caller(offer.vendor.user), Caller(make_employee())]
    for caller in callers:
        for query in QUERIES:
            response = caller.client.get(f"{BASE}{path}?{query}")
            assert response.status_code in {200, 400, 403}, (query, response.content)
            if response.status_code != 200:
                assert response["Content-Type"] == "application/problem+json", query


@pytest.mark.parametrize(
    "path",
    [
        f"products/{2**63}/",
        f"products/{HUGE}/offers/",
        f"vendors/{HUGE}/",
        f"vendors/{HUGE}/products/",
        f"orders/{2**63}/",
        f"orders/{HUGE}/history/",
        f"payments/{HUGE}/",
        f"orders/{'9' * 5000}/",
        "orders/-1/",
        "orders/१/",
        "orders/1",
        "orders/%00/",
        "orders/1/unknown/",
        "payments/x/",
    ],
)
def test_ids_that_nothing_has(caller, path):
    assert caller.get(path).status_code in {400, 404}
    response = caller.get(path)
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("order_id", [2**63, HUGE, 10**18])
@pytest.mark.parametrize(
    "verb",
    ["accept", "reject", "pack", "dispatch", "out_for_delivery", "deliver", "complete", "cancel"],
)
def test_verbs_on_ids_that_nothing_has(order_id, verb):
    response = Caller(make_employee()).post(f"orders/{order_id}/{verb}/", {"reason": "none"})
    assert_problem(response, 404, "not_found")


def test_other_ids_that_nothing_has(offer):
    assert_problem(
        Caller(make_employee()).post(f"payments/{HUGE}/reverse/", {"reason": "x"}), 404, "not_found"
    )
    vendor = Caller(offer.vendor.user)
    assert_problem(vendor.patch(f"vendor/products/{HUGE}/", {"stock": 1}), 404, "not_found")
    assert_problem(vendor.delete(f"vendor/products/{2**63}/"), 404, "not_found")


def test_a_reason_that_postgresql_cannot_store(caller):
    response = caller.post("orders/1/cancel/", {"reason": "a\0b"})
    assert_problem(response, 400, "parse_error")


def test_registration_with_a_body_full_of_surprises():
    for value in (None, 1, [], {}, True, "\0", "x" * 100_000):
        body = dict.fromkeys(("phone", "name", "password", "shop_name", "district"), value)
        response = Caller().post("auth/register/", body, key=None)
        assert response.status_code == 400, value
    assert User.objects.count() == 0
