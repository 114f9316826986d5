"""Lists that PostgreSQL writes say what their serializers would say, to the letter."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import BigIntegerField, F
from django.test import RequestFactory
from django.urls import get_resolver
from rest_framework import serializers

from khaacho.api import json_list
from khaacho.api.json_list import JSONListView
from khaacho.api.json_rows import Param, compiled, projection
from khaacho.api.renderers import JSONRenderer
from khaacho.api.serializers import ModelSerializer
from khaacho.enums import Role
from khaacho.models import User
from orders.api.serializers import OrderRowSerializer
from orders.models import Order
from tests.api.clients import assert_problem, bearer
from tests.api.trade import Caller, data, ids, queries
from tests.api.world import World, make_world
from tests.factories import make_offer, make_order, make_product, make_retailer, make_user
from vendors.models import Product, VendorProduct

pytestmark = pytest.mark.django_db

NASTY = 'Chini "सफा" \\ 50% <b>&\' \t\n\x01 🍚 {}'
STAFF = ("orders/", "credit/ledger/", "payments/", "products/", "vendors/")


def json_lists() -> dict[str, type[JSONListView[Any]]]:
    """Every route of the API whose list PostgreSQL writes."""
    found = {}
    for included in get_resolver().url_patterns:
        for route in getattr(included, "url_patterns", ()):
            view = getattr(route.callback, "view_class", None)
            if view is not None and issubclass(view, JSONListView):
                found[str(route.pattern)] = view
    return found


LISTS = json_lists()
NOT_FOR_ALL = {
    "vendor/products/": {"vendor_a"},
    "credit/score/history/": {"retailer_a", "operator"},
}


def test_the_hot_lists_are_among_them():
    assert set(LISTS) == {
        "orders/",
        "credit/ledger/",
        "credit/score/history/",
        "payments/",
        "products/",
        "products/<int:product_id>/offers/",
        "vendors/",
        "vendors/<int:vendor_id>/products/",
        "vendor/products/",
    }


@pytest.fixture
def world() -> World:
    world = make_world()
    offer = make_offer(product=make_product(name=NASTY, name_ne="चिनी", sku='a"b'), price="0.10")
    make_order(world.people["retailer_a"].retailer, offer, quantity=7)
    VendorProduct.objects.update(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    make_product()  # nobody offers it
    return world


def written_by_the_serializer(
    view_class: type[JSONListView[Any]], user: User, kwargs: dict[str, int], query: dict[str, str]
) -> Any:
    """Return the first page as DRF makes it: models, serializer, renderer."""
    view = view_class()
    request = RequestFactory().get("/", query, headers={"Authorization": bearer(user)})
    view.setup(request, **kwargs)
    view.request, view.format_kwarg = view.initialize_request(request, **kwargs), None
    found = view.filter_queryset(view.get_queryset())
    rows = found if found.query.order_by else found.order_by("-id")
    shown = view.get_serializer(rows[:20], many=True).data
    return json.loads(JSONRenderer().render(shown))


@pytest.mark.parametrize(
    ("route", "who"),
    [
        (route, who)
        for route in LISTS
        for who in ("retailer_a", "vendor_a", "operator")
        if who in NOT_FOR_ALL.get(route, {who})
    ],
)
def test_rows_equal_the_serializers(world, route, who):
    user = world.people[who]
    kwargs = {name: world.ids[name] for name in ("product_id", "vendor_id") if name in route}
    path = route.replace("<int:product_id>", "{product_id}").replace(
        "<int:vendor_id>", "{vendor_id}"
    )
    expected = written_by_the_serializer(LISTS[route], user, kwargs, {})
    for query in ({}, {"cursor": ""}):
        answer = Caller(user).get(path.format(**kwargs), **query)
        assert data(answer) == expected, query
        assert [list(row) for row in data(answer)] == [list(row) for row in expected]
    assert expected


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("orders/", {"status": "DELIVERED"}),
        ("orders/", {"payment_status": "PARTIAL", "sort": "created_at,-total"}),
        (
            "orders/",
            {"created_after": "2026-01-01T00:00:00Z", "created_before": "2100-01-01T00:00"},
        ),
        ("orders/", {"search": "ORD-"}),
        ("payments/", {"method": "CASH", "status": "PROCESSED"}),
        ("credit/ledger/", {"transaction_type": "PAYMENT_CREDIT"}),
        ("products/", {"search": "chini"}),
        ("products/", {"available": "true", "min_price": "1"}),
        ("vendors/", {"sort": "business_name,-rating"}),
    ],
)
def test_filtered_and_sorted_rows_equal_the_serializers(world, path, query):
    user = world.people["operator"]
    expected = written_by_the_serializer(LISTS[path], user, {}, query)
    assert data(Caller(user).get(path, **query)) == expected
    assert expected


def test_text_survives_as_it_is(world):
    rows = data(Caller(world.people["retailer_a"]).get("products/", limit=100))
    assert NASTY in [row["name"] for row in rows]


def test_a_shape_is_compiled_once_and_run_with_each_callers_own_values(world):
    """Values never stay in a compiled statement: the second caller sees what is theirs."""
    json_list.forget()
    stranger, own = make_user(Role.RETAILER), world.people["retailer_a"]
    assert data(Caller(own).get("orders/", status="DELIVERED"))
    kept = json_list.kept()
    assert kept == 1
    other = make_retailer()
    theirs = make_order(other, VendorProduct.objects.in_stock().first())
    assert ids(Caller(other.user).get("orders/", status="PLACED")) == [theirs.pk]
    assert ids(Caller(other.user).get("orders/", status="DELIVERED")) == []
    assert ids(Caller(stranger).get("orders/", status="DELIVERED")) == []  # has no shop at all
    assert json_list.kept() == kept


def test_how_many_choices_and_which_filters_make_a_shape(world):
    json_list.forget()
    staff = Caller(world.people["operator"])
    for query in (
        "orders/?status=PLACED",
        "orders/?status=DELIVERED",
        "orders/?status=PLACED&status=DELIVERED",
        "orders/?status=PLACED&sort=created_at",
        "orders/?vendor_id=1",
        "orders/?vendor_id=2&unknown=1",
    ):
        staff.get(query)
    assert json_list.kept() == 4


def test_strange_shapes_are_forgotten(world, monkeypatch):
    monkeypatch.setattr(json_list, "KEPT", 2)
    json_list.forget()
    staff = Caller(world.people["operator"])
    for sort in ("-created_at", "created_at", "created_at,total", "created_at,due_amount"):
        assert data(staff.get("orders/", sort=sort))
        assert json_list.kept() <= 2


@pytest.mark.parametrize("path", STAFF)
def test_one_statement_by_cursor_and_for_a_page_that_is_not_full(world, path):
    staff = Caller(world.people["operator"])
    assert len(queries(lambda: staff.get(path, cursor=""))) == 1
    assert len(queries(lambda: staff.get(path))) == 1


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-total", "total,-created_at"])
def test_cursors_walk_all_rows_both_ways_as_pages_do(world, sort):
    shop = make_retailer()
    offer = make_offer(price=10, stock=1000)
    for n in range(23):
        make_order(shop, offer, quantity=n % 3 + 1)
    caller = Caller(shop.user)
    whole = ids(caller.get("orders/", sort=sort, limit=100))
    assert len(whole) == 23
    forward, cursor = [], ""
    while cursor is not None:
        page = caller.get("orders/", sort=sort, limit=5, cursor=cursor)
        forward.append(ids(page))
        cursor = page.json()["pagination"]["next_cursor"]
    assert [pk for page in forward for pk in page] == whole
    backward, cursor = [], page.json()["pagination"]["prev_cursor"]
    while cursor is not None:
        page = caller.get("orders/", sort=sort, limit=5, cursor=cursor)
        backward.insert(0, ids(page))
        cursor = page.json()["pagination"]["prev_cursor"]
    assert backward == forward[:-1]


@pytest.mark.parametrize(
    ("path", "sort"),
    [("orders/", "-due_amount"), ("payments/", "amount"), ("credit/ledger/", "amount")],
)
def test_what_no_index_orders_is_sorted_for_one_tenant_alone(world, path, sort):
    staff, own = Caller(world.people["operator"]), Caller(world.people["retailer_a"])
    problem = assert_problem(staff.get(path, sort=sort), 400, "invalid")
    assert list(problem["errors"]) == ["sort"]
    one = world.people["retailer_a"].retailer.pk
    assert data(staff.get(path, sort=sort, retailer_id=one)) == data(own.get(path, sort=sort))


def test_a_long_list_is_estimated_and_says_so(world, monkeypatch):
    monkeypatch.setattr("khaacho.api.pagination.MAX_DEPTH", 2)
    for _ in range(3):
        make_product()
    staff = Caller(world.people["operator"])
    page = staff.get("products/", limit=1, page=2).json()["pagination"]
    assert page["total_is_estimate"] is True
    assert page["total"] > 2  # whatever the planner thinks of tables that were never analysed
    assert page["has_next_page"] is False  # pages end here; cursors go on
    assert "total_is_estimate" not in staff.get("payments/", limit=2).json()["pagination"]


def test_a_serializer_that_postgresql_cannot_follow_is_refused():
    class Computed(ModelSerializer[Product]):
        shout = serializers.SerializerMethodField()

        class Meta:
            model = Product
            fields = ["id", "shout"]

        def get_shout(self, product: Product) -> str:
            return product.name.upper()

    class Rounded(ModelSerializer[Product]):
        tax_rate = serializers.DecimalField(max_digits=4, decimal_places=1)

        class Meta:
            model = Product
            fields = ["tax_rate"]

    with pytest.raises(TypeError, match="shout"):
        projection(Computed(), Product)
    with pytest.raises(TypeError, match="tax_rate"):
        projection(Rounded(), Product)


def test_params_are_bound_at_execution(world):
    shop = world.people["retailer_a"].retailer
    own = Order.objects.filter(retailer_id=Param("shop", BigIntegerField())).order_by("-id")
    statement = compiled(own.values_list(projection(OrderRowSerializer(), Order), "id"))
    assert [row[1] for row in statement.fetch({"shop": str(shop.pk)}, limit=9)] == list(
        shop.orders.order_by("-id").values_list("pk", flat=True)
    )
    assert statement.fetch({"shop": 0}, limit=9) == []
    assert compiled(Order.objects.none().values_list(F("id"))).fetch({}, limit=9) == []
