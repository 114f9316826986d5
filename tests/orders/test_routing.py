"""Routing: the formula by table, and the asking of vendors."""

import re
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import connection

from credit.models import CreditAccount
from khaacho.actors import SYSTEM
from khaacho.exceptions import Forbidden, Invalid, NotFound
from khaacho.models import Alert, Job
from orders import services, tasks
from orders.checks import routing_weights
from orders.enums import NEXT, AcceptanceStatus, OrderStatus
from orders.exceptions import IllegalTransition
from orders.models import VendorOrderAcceptance
from orders.routing import Candidate, Destination, price, proximity, rank, workload
from tests.factories import (
    HOME,
    advance,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
    retailer_actor,
    vendor_actor,
)
from vendors.models import Vendor
from vendors.services import Place

HERE = Destination(municipality="Birendranagar", district="Surkhet", province="Karnali")


def candidate(vendor_id: int, **fields) -> Candidate:
    defaults = {
        "total": Decimal(100),
        "coverage": 2.0,
        "municipality": HERE.municipality,
        "district": HERE.district,
        "province": HERE.province,
        "open_orders": 0,
    }
    return Candidate(vendor_id=vendor_id, **defaults | fields)


def test_a_perfect_vendor_scores_by_its_reliability_alone():
    [scored] = rank(
        [
            candidate(
                1, acceptance_rate=1, completion_rate=1, cancellation_rate=0, fulfilment_hours=12
            )
        ],
        HERE,
        settings.ROUTING_WEIGHTS,
    )
    assert scored.score == 100
    assert scored.parts == dict.fromkeys(settings.ROUTING_WEIGHTS, 100.0)


@pytest.mark.parametrize(
    ("coverage", "score"), [(2.0, 100.0), (1.99, 70.0), (1.0, 70.0), (0.99, 0.0)]
)
def test_availability(coverage, score):
    [scored] = rank([candidate(1, coverage=coverage)], HERE, settings.ROUTING_WEIGHTS)
    assert scored.parts["availability"] == score


@pytest.mark.parametrize(
    ("place", "score"),
    [
        ({}, 100),
        ({"municipality": "Gurbhakot"}, 70),
        ({"municipality": "Tila", "district": "Jumla"}, 40),
        ({"province": "Koshi"}, 10),
    ],
)
def test_proximity(place, score):
    assert proximity(candidate(1, **place), HERE) == score


@pytest.mark.parametrize(
    ("orders", "score"), [(0, 100), (5, 100), (6, 75), (10, 75), (20, 50), (30, 25), (31, 0)]
)
def test_workload(orders, score):
    assert workload(orders) == score


def test_price_is_judged_against_the_other_candidates():
    assert [price(Decimal(t), Decimal(80), Decimal(120)) for t in (80, 90, 120)] == [100, 75, 0]
    assert price(Decimal(80), Decimal(80), Decimal(80)) == 100


def test_a_new_vendor_gets_the_median_reliability():
    rates = {"completion_rate": 1, "cancellation_rate": 0, "fulfilment_hours": 24}
    known = [candidate(i, acceptance_rate=r, **rates) for i, r in ((1, 0.2), (2, 0.6), (3, 1))]
    scored = {s.vendor_id: s for s in rank([*known, candidate(4)], HERE, settings.ROUTING_WEIGHTS)}
    assert scored[4].parts["reliability"] == scored[2].parts["reliability"]


def test_weights_must_total_a_hundred():
    with pytest.raises(ValueError, match="100"):
        rank([], HERE, {"price": 99})


@pytest.mark.parametrize(
    "weights",
    [
        {**settings.ROUTING_WEIGHTS, "price": 19},
        {"price": 100},
        {**settings.ROUTING_WEIGHTS, "x": 0},
    ],
)
def test_wrong_weights_stop_the_start(settings, weights):
    assert routing_weights() == []
    settings.ROUTING_WEIGHTS = weights
    assert [error.id for error in routing_weights()] == ["orders.E001"]


def two_offers(first=10, second=10, **fields):
    product = make_product()
    return [make_offer(product=product, price=p, **fields) for p in (first, second)]


@pytest.mark.django_db
class TestAsking:
    def test_the_named_vendor_is_asked_whatever_the_scores(self):
        near, far = two_offers()
        Vendor.objects.filter(pk=near.vendor_id).update(province="Koshi")
        order = services.route_order(order_id=make_order(make_retailer(), near).pk)
        question = VendorOrderAcceptance.objects.get()
        assert (order.status, question.vendor_id) == ("PENDING", near.vendor_id)
        assert (question.deadline - question.created_at).total_seconds() == 7200
        assert {c["vendor_id"] for c in question.candidates} == {near.vendor_id, far.vendor_id}

    def test_an_unnamed_order_moves_to_the_best_with_stock_price_and_credit(self):
        product = make_product()
        away = Place(municipality="Ilam", district="Ilam", province="Koshi")
        cheap = make_offer(make_vendor(place=away), product, price=10, stock=1)
        near = make_offer(make_vendor(place=HOME), product, price=10, stock=100)
        shop = make_retailer()
        order = make_order(shop, cheap, named=False)
        assert order.vendor_id == cheap.vendor_id

        order = services.route_order(order_id=order.pk)

        assert order.vendor_id == near.vendor_id
        cheap.refresh_from_db()
        near.refresh_from_db()
        assert (cheap.reserved, near.reserved) == (0, 1)
        assert order.items.get().offer_id == near.pk
        reserved = dict(CreditAccount.objects.values_list("vendor_id", "reserved"))
        assert reserved == {cheap.vendor_id: 0, near.vendor_id: Decimal(10)}

    def test_a_reroute_never_costs_more(self):
        cheap, dear = two_offers(10, 11)
        order = advance(make_order(make_retailer(), cheap), "PENDING")
        order = services.reject_order(
            order_id=order.pk, reason="sold out", actor=vendor_actor(cheap.vendor)
        )
        assert (order.status, order.vendor_id) == ("PLACED", cheap.vendor_id)
        assert Alert.objects.get().code == "order.unroutable"
        assert dear.vendor_id not in VendorOrderAcceptance.objects.values_list("vendor", flat=True)

    def test_a_rejection_asks_the_next_at_its_lower_price(self):
        dear, cheap = two_offers(11, 10)
        order = advance(make_order(make_retailer(), dear), "PENDING")
        order = services.reject_order(
            order_id=order.pk, reason="closed", actor=vendor_actor(dear.vendor)
        )
        assert (order.status, order.vendor_id, order.total) == ("PENDING", cheap.vendor_id, 10)
        assert order.agreed_total == 11
        answers = VendorOrderAcceptance.objects.order_by("pk").values_list("status", flat=True)
        assert list(answers) == ["REJECTED", "PENDING"]

    def test_nobody_is_asked_twice_and_five_at_most(self):
        product = make_product()
        offers = [make_offer(product=product, price=10) for _ in range(7)]
        order = advance(make_order(make_retailer(), offers[0]), "PENDING")
        for _ in range(5):
            order = services.reject_order(order_id=order.pk, reason="no", actor=SYSTEM)
        assert order.status == "PLACED"
        asked = list(VendorOrderAcceptance.objects.values_list("vendor", flat=True))
        assert len(asked) == len(set(asked)) == settings.MAX_VENDORS_ASKED
        with pytest.raises(IllegalTransition):
            services.reject_order(order_id=order.pk, reason="no", actor=SYSTEM)

    def test_a_vendor_without_stock_is_passed_over(self):
        first, second = two_offers(stock=5)
        order = advance(make_order(make_retailer(), first, quantity=3), "PENDING")
        make_order(make_retailer(), second, quantity=3)
        order = services.reject_order(order_id=order.pk, reason="no", actor=SYSTEM)
        assert order.status == "PLACED"

    def test_an_account_without_room_is_passed_over(self):
        first, second = two_offers()
        shop = make_retailer()
        make_order(shop, second)
        CreditAccount.objects.filter(vendor=second.vendor_id).update(credit_limit=15)
        order = advance(make_order(shop, first), "PENDING")
        assert (
            services.reject_order(order_id=order.pk, reason="no", actor=SYSTEM).status == "PLACED"
        )

    def test_routing_twice_asks_once(self):
        order = make_order(make_retailer(), make_offer())
        tasks.route(order_id=order.pk)
        tasks.route(order_id=order.pk)
        assert VendorOrderAcceptance.objects.count() == 1

    def test_a_deadline_passed_asks_the_next(self):
        first, second = two_offers()
        order = advance(make_order(make_retailer(), first), "PENDING")
        tasks.find_expired()
        assert not Job.objects.filter(kind="orders.expire").exists()
        VendorOrderAcceptance.objects.update(deadline="2020-01-01T00:00:00Z")

        tasks.find_expired()
        tasks.find_expired()
        job = Job.objects.get(kind="orders.expire")
        tasks.expire(**job.args)
        tasks.expire(**job.args)

        order.refresh_from_db()
        assert (order.status, order.vendor_id) == ("PENDING", second.vendor_id)
        statuses = VendorOrderAcceptance.objects.order_by("pk").values_list("status", flat=True)
        assert list(statuses) == [AcceptanceStatus.EXPIRED, AcceptanceStatus.PENDING]

    def test_only_the_asked_vendor_answers(self):
        first, second = two_offers()
        shop = make_retailer()
        order = advance(make_order(shop, first), "PENDING")
        with pytest.raises(NotFound):
            services.accept_order(order_id=order.pk, actor=vendor_actor(second.vendor))
        with pytest.raises(Forbidden):
            services.accept_order(order_id=order.pk, actor=retailer_actor(shop))
        services.accept_order(order_id=order.pk, actor=vendor_actor(first.vendor))
        with pytest.raises(IllegalTransition):
            services.accept_order(order_id=order.pk, actor=vendor_actor(first.vendor))

    def test_a_rejection_needs_a_reason(self):
        order = advance(make_order(make_retailer(), make_offer()), "PENDING")
        with pytest.raises(Invalid):
            services.reject_order(order_id=order.pk, reason=" ", actor=SYSTEM)

    def test_statistics_come_from_orders(self):
        offer = make_offer()
        advance(make_order(make_retailer(), offer), "DELIVERED")
        order = advance(make_order(make_retailer(), offer), "PENDING")
        services.reject_order(order_id=order.pk, reason="no", actor=SYSTEM)
        tasks.refresh_statistics(vendor_id=offer.vendor_id)
        vendor = Vendor.objects.get(pk=offer.vendor_id)
        assert (vendor.orders_offered, vendor.orders_accepted, vendor.orders_delivered) == (2, 1, 1)
        assert vendor.rating == Decimal("4.00")


@pytest.mark.django_db
def test_the_database_knows_the_same_edges():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('order_transition_guard'::regproc)")
        guard = cursor.fetchone()[0]
    edges = set(re.findall(r"\('([A-Z_]+)', '([A-Z_]+)'\)", guard))
    assert edges == {(here, there) for here in OrderStatus for there in NEXT[here]}
