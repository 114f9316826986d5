"""Every `search` of the API: served by indexes, within one's own rows, and never an error."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from khaacho.actors import SYSTEM
from khaacho.models import User
from orders.models import Order
from payments import services as payments
from payments.enums import PaymentMethod
from payments.models import Payment
from tests.api.trade import Caller, data, ids
from tests.factories import (
    advance,
    make_employee,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
)

pytestmark = pytest.mark.django_db

# route → what is typed there; a new search has no row, and fails
TYPED = {
    "products/": ["rice", "rcie", "चामल", "SKU-1"],
    "vendors/": ["traders", "tr", "VND-00", "9800000"],
    "vendors/<int:vendor_id>/products/": ["rice", "SKU-1"],
    "vendor/products/": ["rice", "SKU-1"],
    "orders/": ["ORD-2026-0000001", "ord-2026-00", "2026-0000001", "123"],
    "vendor/receivables/": ["shop", "sh", "RTL-00", "9800000", "पसल"],
    "credit/ledger/": ["LED-2026-00", "ORD-2026-0000001", "123"],
    "payments/": ["PAY-2026-00", "123", "cheque 77", "77"],
}
# Partial indexes of tables that are joined to what was found: where those are tiny, one is read whole.
JOINED = {
    *("offer_price_idx", "offer_product_price_idx", "offer_vendor_catalogue_idx"),
    "order_owing_idx",
}
GARBAGE = [
    *(
        "%",
        "_",
        "\\",
        "'",
        '";',
        "%%%%",
        "-",
        "--",
        "ORD-",
        "ORD-%",
        "ord-२०२६",
        "२",
        "0" * 30,
        "9" * 100,
    ),
    *(
        "+",
        "+977",
        "+" + "1" * 90,
        "🛒",
        "ि",
        "\u200d",
        "\u0301" * 99,
        "a" * 100,
        "a " * 50,
        "²",
        "٣",
        "\ud7ff",
    ),
]


def routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path, getattr(pattern.callback, "cls", None)


def test_every_search_of_the_api_is_tried_here():
    found = {
        path.removeprefix("api/v1/")
        for path, view in routes(get_resolver().url_patterns)
        if "search" in getattr(getattr(view, "filterset_class", None), "base_filters", {})
    }
    assert found == set(TYPED)


class World:
    """Two wholesalers and two shops, one order each way, delivered and partly paid; and staff."""

    def __init__(self) -> None:
        self.vendors = [make_vendor(), make_vendor()]
        self.shops = [make_retailer(), make_retailer()]
        self.orders = [self._deal(*pair) for pair in zip(self.vendors, self.shops, strict=True)]
        self.staff = make_employee()

    def _deal(self, vendor: Any, shop: Any) -> Order:
        offer = make_offer(vendor, make_product(name="Rice of one kind", name_ne="चामल"))
        order = advance(make_order(shop, offer), "DELIVERED")
        payments.record_payment(
            retailer_id=shop.pk,
            vendor_id=vendor.pk,
            amount=10,
            method=PaymentMethod.CHEQUE,
            reference="Cheque 77 of Nabil",
            transaction_id=f"NB-{order.pk}",
            actor=SYSTEM,
        )
        return order

    def caller(self, route: str) -> Caller:
        """Who may search there and sees the most."""
        return Caller(self.vendors[0].user if route.startswith("vendor/") else self.staff)

    def path(self, route: str) -> str:
        return route.replace("<int:vendor_id>", str(self.vendors[0].pk))


@pytest.fixture
def world() -> World:
    return World()


def without_index(statement: str) -> list[str]:
    """Return the tables that a statement must read whole, were they big; bitmaps are its only way."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT plan")
        # read whole they are as good as a table of three rows
        cursor.execute("DROP INDEX product_name_idx, product_created_idx")
        for way in ("seqscan", "indexscan", "indexonlyscan", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
        found = cursor.fetchone()[0]
        cursor.execute("ROLLBACK TO SAVEPOINT plan")
    plan = json.loads(found) if isinstance(found, str) else found
    return [
        f"{scan.get('Relation Name') or scan.get('Index Name')}"
        for scan in scans(plan[0]["Plan"])
        if "Index Cond" not in scan
    ]


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    below = node.get("Plans", [])
    if not below and node["Node Type"].endswith("Scan") and "Function" not in node["Node Type"]:
        yield node
    for child in below:
        yield from scans(child)


@pytest.mark.parametrize("route", TYPED)
def test_an_index_serves_every_search(world: World, route: str):
    caller, wrong = world.caller(route), {}
    for typed in TYPED[route]:
        with CaptureQueriesContext(connection) as captured:
            data(caller.get(world.path(route), search=typed))
        for query in captured.captured_queries:
            if query["sql"].lstrip().startswith(("SELECT", "(SELECT", "WITH")) and (
                bare := set(without_index(query["sql"])) - JOINED
            ):
                wrong[typed] = (bare, query["sql"])
    assert wrong == {}


@pytest.mark.parametrize("route", TYPED)
def test_no_text_is_an_error(world: World, route: str):
    caller = world.caller(route)
    for typed in [*GARBAGE, *TYPED[route]]:
        response = caller.get(world.path(route), search=typed)
        assert response.status_code == 200, (typed, response.content)
    assert caller.get(world.path(route), search="x" * 101).status_code == 400
    assert caller.get(world.path(route), search="a\0b").status_code == 400


def own_and_other(world: World, user: User, path: str, own: str, other: str) -> tuple[int, int]:
    caller = Caller(user)
    return len(data(caller.get(path, search=own))), len(data(caller.get(path, search=other)))


def test_nobody_finds_another_tenants_rows(world: World):
    first, second = world.orders
    pairs = {
        "orders/": (first.order_number, second.order_number),
        "credit/ledger/": (first.order_number, second.order_number),
        "payments/": (f"NB-{first.pk}", f"NB-{second.pk}"),
    }
    for path, (own, other) in pairs.items():
        for user in (world.vendors[0].user, world.shops[0].user):
            assert own_and_other(world, user, path, own, other) == (1, 0), path
        both = Caller(world.staff)
        assert data(both.get(path, search=own)), path
        assert data(both.get(path, search=other)), path
    vendor = world.vendors[0].user
    for name in ("shop_name", "code"):
        own, other = (getattr(shop, name) for shop in world.shops)
        assert own_and_other(world, vendor, "vendor/receivables/", own, other) == (1, 0)
    own, other = (shop.user.phone for shop in world.shops)
    assert own_and_other(world, vendor, "vendor/receivables/", own, other) == (1, 0)
    assert len(data(Caller(vendor).get("vendor/products/", search="rice"))) == 1


def test_orders_by_number(world: World):
    order = world.orders[0]
    number, caller = order.order_number, Caller(world.staff)
    for typed in (
        number,
        number.lower(),
        f" {number} ",
        number[4:],
        number[-7:],
        number[-7:].lstrip("0"),
    ):
        assert ids(caller.get("orders/", search=typed)) == [order.pk], typed
    assert set(ids(caller.get("orders/", search=number[:9]))) == {o.pk for o in world.orders}
    for typed in ("RICE", number[4:8], "ORD", f"X{number}"):
        found = ids(caller.get("orders/", search=typed))
        assert found == [], typed


def test_payments_by_number_reference_and_transaction(world: World):
    caller = Caller(world.staff)
    payment = Payment.objects.order_by("pk").first()
    number = payment.payment_number
    for typed in (number, number.lower(), number[-7:], payment.transaction_id):
        assert ids(caller.get("payments/", search=typed)) == [payment.pk], typed
    for typed in ("nabil", "77 cheque", "Cheque 77 of", "ch"):
        assert len(data(caller.get("payments/", search=typed))) == 2, typed
    assert data(caller.get("payments/", search="Cheque 78")) == []


def test_entries_by_their_number_and_their_documents(world: World):
    caller = Caller(world.staff)
    rows = data(caller.get("credit/ledger/"))
    payment = Payment.objects.order_by("pk").first()
    for typed, field in (
        (world.orders[0].order_number, "reference"),
        (payment.payment_number.lower(), "reference"),
        (rows[0]["entry_number"], "entry_number"),
    ):
        found = data(caller.get("credit/ledger/", search=typed))
        assert [row[field] for row in found] == [typed.upper()]


def test_receivables_by_the_owner_and_the_nepali_name(world: World):
    shop = world.shops[0]
    type(shop).objects.filter(pk=shop.pk).update(shop_name_ne="सगरमाथा किराना पसल")
    User.objects.filter(pk=shop.user_id).update(name="Bishnu Prasad Gautam")
    caller = Caller(world.vendors[0].user)
    for typed in (
        "किराना",
        "सगरमाथा पसल",
        "bishnu",
        "gautam prasad",
        shop.user.phone[4:],
        shop.code.lower(),
    ):
        rows = data(caller.get("vendor/receivables/", search=typed))
        assert len(rows) == 1, typed
    assert data(caller.get("vendor/receivables/", search="किरण")) == []


def test_only_staff_find_vendors_by_person(world: World):
    vendor = world.vendors[0]
    User.objects.filter(pk=vendor.user_id).update(name="Laxmi Devi Thapa")
    type(vendor).objects.filter(pk=vendor.pk).update(business_name_ne="थापा ट्रेडर्स")
    for typed, everybody in (
        ("laxmi", False),
        (vendor.user.phone, False),
        ("थापा", True),
        (vendor.code, True),
    ):
        assert ids(Caller(world.staff).get("vendors/", search=typed)) == [vendor.pk]
        expected = [vendor.pk] if everybody else []
        assert ids(Caller(world.shops[0].user).get("vendors/", search=typed)) == expected
