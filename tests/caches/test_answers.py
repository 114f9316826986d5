"""What the API answers from the cache: right after every verb, each tenant's own, and 304 to who has it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client, RequestFactory
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credit import services as credit
from khaacho.actors import SYSTEM
from khaacho.api.cached_pages import cached_page, canonical, has
from khaacho.api.permissions import IsStaff
from khaacho.enums import Role
from khaacho.models import User
from orders import services as orders
from orders.enums import PaymentTerms
from orders.models import Order
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.clients import assert_problem, bearer
from tests.api.trade import Caller, ids, queries
from tests.factories import (
    advance,
    backdate_due,
    make_actor,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_user,
    make_vendor,
)
from vendors import services as vendors
from vendors.catalogue import FIELDS, CatalogueRow
from vendors.models import Product, VendorProduct
from vendors.services import OfferRow, Statistics

pytestmark = pytest.mark.django_db(transaction=True)


class Trade:
    """A shop, a wholesaler and its offer, an order delivered on credit, and everybody's pages."""

    def __init__(self) -> None:
        self.shop = make_retailer()
        self.offer = make_offer(product=make_product(tax_rate=13), stock=40, price=50)
        self.vendor_id, self.product_id = self.offer.vendor_id, self.offer.product_id
        self.delivered = advance(make_order(self.shop, self.offer, quantity=2), "DELIVERED")
        self.caller = Caller(self.shop.user)
        self.account_id = self.delivered.retailer.accounts.get().pk
        self.payment: Any = None
        self.shown: dict[str, bytes] = {}

    @property
    def paths(self) -> list[str]:
        return [
            "products/",
            "products/?sort=-name&limit=5",
            f"products/?vendor={self.vendor_id}&available=true",
            f"products/{self.product_id}/",
            f"products/{self.product_id}/offers/",
            "vendors/",
            f"vendors/{self.vendor_id}/",
            f"vendors/{self.vendor_id}/products/",
            "credit/",
        ]

    def answers(self) -> dict[str, Any]:
        found = {path: self.caller.client.get(f"/api/v1/{path}") for path in self.paths}
        self.shown = {path: answer.content for path, answer in found.items()}
        return found

    def computed(self) -> dict[str, bytes]:
        """Return what the views say without the cache: inside a transaction they do not use it."""
        with transaction.atomic():
            return {path: self.caller.client.get(f"/api/v1/{path}").content for path in self.paths}

    def pay(self, amount: str = "30.00") -> None:
        self.payment = payments.record_payment(
            retailer_id=self.shop.pk,
            vendor_id=self.vendor_id,
            amount=Decimal(amount),
            method=PaymentMethod.CASH,
            actor=SYSTEM,
        )

    def order(self, quantity: int = 3, terms: PaymentTerms = PaymentTerms.CREDIT) -> Order:
        return make_order(self.shop, self.offer, quantity=quantity, terms=terms)


@pytest.fixture
def trade() -> Trade:
    return Trade()


def place(trade: Trade) -> None:
    trade.order()


def cancel(trade: Trade) -> None:
    order = trade.order()
    trade.answers()
    orders.cancel_order(order_id=order.pk, reason="twice", actor=SYSTEM)


def deliver(trade: Trade) -> None:
    order = advance(trade.order(), "OUT_FOR_DELIVERY")
    trade.answers()
    orders.deliver_order(order_id=order.pk, actor=SYSTEM)


def deliver_for_cash(trade: Trade) -> None:
    order = advance(trade.order(terms=PaymentTerms.CASH), "OUT_FOR_DELIVERY")
    trade.answers()
    orders.deliver_order(order_id=order.pk, actor=SYSTEM)


def reroute(trade: Trade) -> None:
    cheaper = make_offer(product=trade.offer.product, price=40)
    credit.open_account(retailer_id=trade.shop.pk, vendor_id=cheaper.vendor_id)
    order = orders.route_order(order_id=trade.order().pk)
    trade.answers()
    orders.reject_order(order_id=order.pk, reason="no van", actor=SYSTEM)
    order.refresh_from_db()
    assert order.vendor_id == cheaper.vendor_id


def pay(trade: Trade) -> None:
    trade.pay()


def reverse(trade: Trade) -> None:
    trade.pay()
    trade.answers()
    payments.reverse_payment(payment_id=trade.payment.pk, reason="wrong", actor=SYSTEM)


def use_advance(trade: Trade) -> None:
    trade.pay("500.00")
    advance(trade.order(), "DELIVERED")
    backdate_due(Order.objects.latest("pk"), 60)
    trade.answers()
    payments.apply_advances(retailer_id=trade.shop.pk, vendor_id=trade.vendor_id)


def raise_limit(trade: Trade) -> None:
    credit.change_limit(
        retailer_id=trade.shop.pk, new_limit=Decimal(150_000), reason="good", actor=SYSTEM
    )


def limit_account(trade: Trade) -> None:
    credit.change_limit(
        retailer_id=trade.shop.pk,
        vendor_id=trade.vendor_id,
        new_limit=Decimal(9000),
        reason="small",
        actor=SYSTEM,
    )


def limit_by_two(trade: Trade) -> None:
    change = credit.change_limit(
        retailer_id=trade.shop.pk, new_limit=Decimal(300_000), reason="large", actor=SYSTEM
    )
    trade.answers()
    credit.decide_limit_change(change_id=change.pk, approve=True, actor=make_actor())


def change_terms(trade: Trade) -> None:
    credit.change_terms(account_id=trade.account_id, payment_terms_days=45, actor=SYSTEM)


def freeze(trade: Trade) -> None:
    credit.freeze_account(account_id=trade.account_id, reason="audit", actor=SYSTEM)


def open_account(trade: Trade) -> None:
    make_order(trade.shop, make_offer(price=5), terms=PaymentTerms.CASH)


def offer(trade: Trade) -> None:
    make_offer(product=trade.offer.product, price=45)


def offer_another_product(trade: Trade) -> None:
    vendors.create_offer(
        vendor_id=trade.vendor_id,
        product_id=make_product(name="Aata").pk,
        vendor_price=Decimal(7),
        stock=3,
        actor=SYSTEM,
    )


def change_price(trade: Trade) -> None:
    vendors.change_offer(offer_id=trade.offer.pk, vendor_price=Decimal("61.50"), actor=SYSTEM)


def change_stock(trade: Trade) -> None:
    vendors.change_offer(offer_id=trade.offer.pk, stock_delta=7, actor=SYSTEM)


def withdraw(trade: Trade) -> None:
    vendors.withdraw_offer(offer_id=trade.offer.pk, actor=SYSTEM)


def load_price_list(trade: Trade) -> None:
    row = OfferRow(product_id=trade.product_id, vendor_price=Decimal("44.00"))
    vendors.import_offers(vendor_id=trade.vendor_id, rows=[row], actor=SYSTEM)


def block(trade: Trade) -> None:
    vendors.block_vendor(vendor_id=trade.vendor_id, reason="late", actor=SYSTEM)


def unblock(trade: Trade) -> None:
    block(trade)
    trade.answers()
    vendors.unblock_vendor(vendor_id=trade.vendor_id, actor=SYSTEM)


def approve(trade: Trade) -> None:
    vendor = make_vendor(approved=False)
    trade.answers()
    vendors.approve_vendor(vendor_id=vendor.pk, actor=SYSTEM)


def import_catalogue(trade: Trade) -> None:
    values = Product.objects.values(*FIELDS).get(pk=trade.product_id)
    vendors.import_products([CatalogueRow(**values | {"name": "Renamed"})])


def edit_in_admin(model: str, field: str) -> Callable[[Trade], None]:
    def edit(trade: Trade) -> None:
        browser = Client()
        browser.force_login(make_user(Role.ADMIN, is_superuser=True))
        pk = trade.vendor_id if model == "vendor" else trade.product_id
        path = f"/admin/vendors/{model}/{pk}/change/"
        form = browser.get(path).context["adminform"].form
        body = {name: form[name].value() for name in form.fields} | {field: "Renamed"}
        answer = browser.post(path, {k: "" if v is None else v for k, v in body.items()})
        assert answer.status_code == 302

    return edit


VERBS = [
    place,
    cancel,
    deliver,
    deliver_for_cash,
    reroute,
    pay,
    reverse,
    use_advance,
    raise_limit,
    limit_account,
    limit_by_two,
    change_terms,
    freeze,
    open_account,
    offer,
    offer_another_product,
    change_price,
    change_stock,
    withdraw,
    load_price_list,
    block,
    unblock,
    approve,
    import_catalogue,
    edit_in_admin("vendor", "business_name"),
    edit_in_admin("product", "name"),
]


def facts(body: bytes, late: set[str]) -> Any:
    """Return an answer without the figures that may be late; an error without its request's id.

    Packs left may be a few seconds old; a vendor's name beside a shop's credit some minutes.
    """

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in late | {"request_id"}}
        return [strip(each) for each in value] if isinstance(value, list) else value

    return strip(json.loads(body))


@pytest.mark.parametrize("verb", VERBS, ids=[verb.__name__ for verb in VERBS])
def test_every_verb_is_seen_at_once(trade, verb):
    """What was shown just before the verb is no longer true, and no longer shown."""
    trade.answers()
    verb(trade)
    shown, after, now = trade.shown, trade.computed(), trade.answers()
    assert after != shown
    for path in trade.paths:
        late = {"available"} if path != "credit/" else {"vendor_name"}
        assert facts(now[path].content, late) == facts(after[path], late), path


def test_packs_left_may_be_a_few_seconds_old_but_sold_out_is_seen_at_once(trade):
    path = f"products/{trade.product_id}/"

    def best() -> dict[str, Any]:
        return trade.caller.get(path).json()["best_offer"]

    rival = make_offer(product=trade.offer.product, price=90, stock=9)
    assert (best()["id"], best()["available"]) == (trade.offer.pk, 38)
    trade.order(quantity=3)
    assert best()["available"] == 38
    trade.order(quantity=35)
    assert (best()["id"], best()["available"]) == (rival.pk, 9)
    assert ids(trade.caller.get("products/", available="true")) == [trade.product_id]
    orders.cancel_order(order_id=Order.objects.latest("pk").pk, reason="no", actor=SYSTEM)
    assert (best()["id"], best()["available"]) == (trade.offer.pk, 35)


def test_a_hit_needs_no_statement(trade):
    trade.answers()
    trade.caller.get("dashboard/")
    assert queries(trade.answers) == []
    assert queries(lambda: trade.caller.get("dashboard/")) == []


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "application/json, text/plain, */*", "application/json; indent=4"],
)
def test_whatever_accepts_json_has_the_same_page(trade, accept):
    page = trade.caller.client.get("/api/v1/products/")

    def ask() -> None:
        answer = trade.caller.client.get("/api/v1/products/", headers={"Accept": accept})
        assert (answer.content, answer["ETag"]) == (page.content, page["ETag"])
        head = trade.caller.client.head("/api/v1/products/", headers={"Accept": accept})
        assert (head.content, head["ETag"]) == (b"", page["ETag"])

    assert queries(ask) == []


def test_a_cached_answer_is_the_computed_one_with_its_headers(trade):
    for _ in range(3):
        make_offer(product=make_product(), price=3)
    path = "/api/v1/products/?limit=2&page=1"
    first, second = trade.caller.client.get(path), trade.caller.client.get(path)
    assert first.content == second.content
    for name in ("Content-Type", "Link", "ETag", "Cache-Control", "Vary"):
        assert first[name] == second[name]
    assert second["Link"] == '</api/v1/products/?limit=2&page=2>; rel="next"'
    assert second["Content-Type"] == "application/json"
    assert second["Cache-Control"] == "private, no-cache"
    assert second["Content-Length"] == str(len(second.content))
    assert second["X-Request-ID"] != first["X-Request-ID"]


@pytest.mark.parametrize("path", ["credit/", "dashboard/"])
def test_each_tenant_has_its_own(trade, path):
    other = make_retailer(credit_limit=777)
    make_order(other, make_offer(price=11), quantity=5)
    own = trade.caller.get(path).content
    theirs = Caller(other.user).get(path).content
    assert own != theirs
    assert trade.caller.get(path).content == own
    assert Caller(other.user).get(path).content == theirs
    with transaction.atomic():
        assert Caller(other.user).get(path).content == theirs


def test_the_dashboard_is_each_roles_own_and_a_minute_old(trade):
    staff, wholesaler = Caller(make_user()), Caller(trade.offer.vendor.user)
    first = [who.get("dashboard/").json() for who in (staff, wholesaler, trade.caller)]
    assert [each["open_orders"] for each in first] == [1, 1, 1]
    make_order(make_retailer(), make_offer(price=1))
    trade.order()
    again = [who.get("dashboard/").json() for who in (staff, wholesaler, trade.caller)]
    assert again == first
    with transaction.atomic():
        assert staff.get("dashboard/").json()["open_orders"] == 3


def test_doors_stay_shut_however_warm_the_page_is(trade):
    trade.answers()
    assert_problem(Caller().get("products/"), 401, "not_authenticated")
    assert_problem(Caller(trade.offer.vendor.user).get("credit/"), 403, "permission_denied")
    forged = Caller().client.get("/api/v1/products/", headers={"Authorization": "Bearer x.y.z"})
    assert_problem(forged, 401, "token_invalid")
    assert_problem(trade.caller.client.post("/api/v1/products/"), 405, "method_not_allowed")
    plain = trade.caller.client.get("/api/v1/products/", headers={"Accept": "text/html"})
    assert_problem(plain, 406, "not_acceptable")


@cached_page(seconds=60)
class ForStaff(APIView):
    permission_classes = [IsStaff]

    def get(self, request: Request) -> Response:
        return Response({"secret": 1})


def test_a_page_that_is_the_same_for_all_is_shown_to_those_who_may_see_it(trade):
    def status(user: User) -> int:
        request = RequestFactory().get("/secret/", headers={"Authorization": bearer(user)})
        return ForStaff.as_view()(request).status_code

    staff = make_user()
    assert [status(who) for who in (staff, staff, trade.shop.user)] == [200, 200, 403]


def test_a_view_that_decides_by_more_than_the_actor_cannot_be_cached():
    class Open(APIView):
        permission_classes = [AllowAny]

    with pytest.raises(TypeError, match="Open decides by more than the actor"):
        cached_page(seconds=60)(Open)


def test_refusals_are_not_kept(trade):
    assert_problem(trade.caller.get("products/999999/"), 404, "not_found")
    assert_problem(trade.caller.get("products/", limit=1000), 400, "invalid")
    hidden = make_product(is_active=False)
    assert_problem(trade.caller.get(f"products/{hidden.pk}/"), 404, "not_found")
    Product.objects.filter(pk=hidden.pk).update(is_active=True)
    assert trade.caller.get(f"products/{hidden.pk}/").status_code == 200


def test_304_without_a_body_and_without_a_statement(trade):
    client, path = trade.caller.client, "/api/v1/products/"
    etag = client.get(path)["ETag"]
    assert etag.startswith('"')
    for asked in (etag, f"W/{etag}", f'"other", {etag}', "*"):

        def ask(asked: str = asked) -> None:
            answer = client.get(path, headers={"If-None-Match": asked})
            assert (answer.status_code, answer.content) == (304, b"")
            assert (answer["ETag"], answer["Cache-Control"]) == (etag, "private, no-cache")
            assert "Content-Type" not in answer

        assert queries(ask) == []
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other["ETag"]) == (200, etag)
    change_price(trade)
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed["ETag"] != etag


def test_etag_is_of_the_content(trade):
    """A page computed anew with nothing changed is still the one the client has."""
    client, path = trade.caller.client, "/api/v1/products/"
    etag = client.get(path)["ETag"]
    change_price(trade)
    vendors.change_offer(offer_id=trade.offer.pk, vendor_price=Decimal("50.00"), actor=SYSTEM)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    unknown = client.get(path, {"utm": "x"}, headers={"If-None-Match": etag})
    assert unknown.status_code == 304


def test_if_none_match():
    assert has('"a"', '"a"')
    assert has('W/"a"', '"a"')
    assert has('"b", W/"a"', '"a"')
    assert has("*", '"a"')
    assert not has('"b"', '"a"')
    assert not has("a", '"a"')
    assert not has('"*"', '"a"')


def test_queries_that_mean_the_same_share_a_page():
    known = frozenset({"page", "search", "limit"})
    assert canonical("limit=2&page=1", known) == canonical("page=1&limit=2", known)
    assert canonical("search=a%20b", known) == canonical("search=a+b", known)
    assert canonical("page=1&page=2", known) != canonical("page=2&page=1", known)
    assert canonical("search=", known) != canonical("", known)
    assert canonical("page=1&x=1", known) is None
    assert canonical("search=" + "a" * 2000, known) is None
    assert canonical("&".join(["page=1"] * 50), known) is None


def test_unknown_parameters_fill_nothing(trade, client):
    for number in range(20):
        assert trade.caller.get("products/", nonsense=number).status_code == 200
    assert client.keys("*:page:*") == []


def test_filters_and_pages_are_told_apart(trade):
    make_offer(product=make_product(name="Aata", category="Flour"), price=3)
    asked = [{}, {"limit": 1}, {"limit": 1, "page": 2}, {"category": "Flour"}, {"sort": "-name"}]
    asked += [{"search": "aata"}, {"cursor": "", "limit": 1}, {"max_price": 10}, {"vendor": 1}]
    for _ in range(2):
        for params in asked:
            with transaction.atomic():
                computed = trade.caller.get("products/", **params).json()
            answered = trade.caller.get("products/", **params).json()
            assert answered["data"] == computed["data"], params


def test_fifty_at_once_ask_postgresql_once(trade, settings):
    settings.REDIS_BUDGET = settings.REDIS_TIMEOUT = (
        10  # fifty threads take turns at one interpreter
    )
    counted: list[int] = []

    def visit(_: int) -> int:
        caller = Caller(trade.shop.user)
        counted.append(len(queries(lambda: answers.append(caller.get("products/").content))))
        connections.close_all()
        return 1

    answers: list[bytes] = []
    with ThreadPoolExecutor(50) as crowd:
        assert sum(crowd.map(visit, range(50))) == 50
    assert len(set(answers)) == 1
    assert len([n for n in counted if n]) == 1


def test_ratings_are_soon_seen(trade):
    trade.answers()
    figures = Statistics(
        offered=1,
        accepted=1,
        delivered=1,
        cancelled=0,
        fulfilment_hours=None,
        rating=Decimal("4.5"),
    )
    vendors.record_statistics(trade.vendor_id, figures)
    assert trade.caller.get("vendors/").json()["data"][0]["rating"] == "0.00"


def test_an_edit_in_sql_is_seen_when_the_page_expires_or_somebody_says_so(trade):
    trade.answers()
    VendorProduct.objects.update(vendor_price=Decimal("1.00"))
    assert trade.caller.get("products/").json()["data"][0]["best_offer"]["price"] == "50.00"
    call_command("forget_pages", stdout=StringIO())
    assert trade.caller.get("products/").json()["data"][0]["best_offer"]["price"] == "1.00"
