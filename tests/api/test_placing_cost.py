"""What placing an order costs PostgreSQL: the same few statements for one line and for a hundred."""

import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credit.models import CreditAccount
from khaacho.api.renderers import JSONRenderer
from khaacho.models import IdempotencyKey, Job
from orders.api.serializers import OrderSerializer
from orders.models import Order, OrderItem, OrderRefusal, OrderStatusLog
from orders.selectors import shown
from tests.api.trade import Caller
from tests.factories import (
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_vendor,
    retailer_actor,
)
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)

# BEGIN, key, look, credit, order with lines and jobs, stock, answer, COMMIT
STATEMENTS = 8


def statements(call) -> list[str]:
    """Return what one call sends to PostgreSQL, BEGIN and COMMIT included."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return [query["sql"] for query in captured]


def body(offers, *, named=True, terms="CREDIT", quantity=1):
    items = [{"product_id": offer.product_id, "quantity": quantity} for offer in offers]
    vendor = {"vendor_id": offers[0].vendor_id} if named else {}
    return {"payment_terms": terms, "items": items} | vendor


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("terms", ["CREDIT", "CASH"])
@pytest.mark.parametrize("lines", [1, 3, 100])
def test_an_order_is_eight_statements(lines, terms, named):
    """Also the first of a pair, which opens the account."""
    shop, vendor = make_retailer(), make_vendor()
    offers = [make_offer(vendor, price=10) for _ in range(lines)]
    caller = Caller(shop.user)
    answers = []

    def place():
        answers.append(caller.post("orders/", body(offers, named=named, terms=terms)))

    first, second = statements(place), statements(place)

    assert [answer.status_code for answer in answers] == [201, 201], answers[0].content
    on_cash = terms == "CASH"
    assert [len(first), len(second)] == [STATEMENTS, STATEMENTS - on_cash], first
    assert (second[0], second[-1]) == ("BEGIN", "COMMIT")
    assert not [sql for sql in first + second if "SAVEPOINT" in sql]
    assert OrderItem.objects.count() == 2 * lines
    assert (IdempotencyKey.objects.count(), CreditAccount.objects.count()) == (2, 1)
    assert OrderStatusLog.objects.count() == 2
    of_order = Job.objects.filter(reference=f"order:{answers[1].json()['id']}")
    assert set(of_order.values_list("kind", flat=True)) == {
        "orders.route",
        "OrderPlaced>whatsapp.handlers.order_placed",
    }


def test_as_many_go_over_the_wire(tmp_path):
    """Django's log leaves out what psycopg sends by itself; libpq's trace leaves out nothing."""
    shop, offer = make_retailer(), make_offer()
    caller = Caller(shop.user)
    caller.post("orders/", body([offer]))
    sent = connection.connection.pgconn
    with (tmp_path / "trace").open("wb") as trace:
        sent.trace(trace.fileno())
        answer = caller.post("orders/", body([offer]))
        sent.untrace()
    assert answer.status_code == 201
    messages = re.findall(r"\tF\t\d+\t(\w+)", (tmp_path / "trace").read_text())
    assert messages == ["Query"] * STATEMENTS


@pytest.mark.parametrize("lines", [1, 4])
def test_the_answer_is_the_serializers(lines):
    """Also when lines are taxed, named in no order, and the shop's words are not ASCII."""
    shop, vendor = make_retailer(), make_vendor()
    type(shop).objects.filter(pk=shop.pk).update(shop_name='बिराटनगर "स्टोर"')
    offers = [
        make_offer(vendor, make_product(tax_rate=13, name=f"चामल {n}"), price=Decimal("33.35"))
        for n in range(lines)
    ]
    request = body(offers[::-1], quantity=3) | {"notes": "जाँच\n\u2028 <b>"}

    answer = Caller(shop.user).post("orders/", request)

    order = shown(retailer_actor(shop)).get(pk=answer.json()["id"])
    assert answer.json() == json.loads(JSONRenderer().render(OrderSerializer(order).data))
    assert list(answer.json()) == OrderSerializer.Meta.fields
    detail = Caller(shop.user).get(f"orders/{order.pk}/")
    assert detail.json() == answer.json()


def test_a_repeated_order_costs_two_statements_and_changes_nothing():
    shop, offer = make_retailer(), make_offer()
    caller, request = Caller(shop.user), body([offer])
    first = caller.post("orders/", request, key="k")

    replayed = statements(lambda: caller.post("orders/", request, key="k"))

    assert len(replayed) == 4  # BEGIN, key, answer, COMMIT
    assert first.status_code == 201
    assert Order.objects.count() == 1


def test_the_next_vendor_is_found_when_the_cheapest_sells_out_meanwhile():
    """Over HTTP there is no savepoint to go back to: the request's whole transaction begins anew."""
    product = make_product()
    cheap = make_offer(product=product, price=10, stock=5)
    dear = make_offer(product=product, price=11, stock=5)
    shop = make_retailer()
    rivals = [lambda: make_order(make_retailer(), cheap, quantity=5)]

    def sell_out(execute, sql, params, many, context):
        """Sell the cheap one out, once, after it was read and before it is locked."""
        result = execute(sql, params, many, context)
        if "nextval('orders_id_seq')" in sql and rivals:
            assert race(rivals.pop()) == {"ok": 1}
        return result

    with connection.execute_wrapper(sell_out):
        answer = Caller(shop.user).post("orders/", body([cheap], named=False))

    assert (answer.status_code, answer.json()["vendor_id"]) == (201, dear.vendor_id)
    assert answer.json()["total"] == "11.00"
    assert Order.objects.filter(retailer=shop).count() == 1
    assert IdempotencyKey.objects.count() == 1
    assert not OrderRefusal.objects.exists()
