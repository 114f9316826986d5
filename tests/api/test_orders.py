"""Orders over HTTP: placing, quoting, reading, and every verb by everybody."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from credit import services as credit
from credit.models import CreditAccount, Retailer
from khaacho.actors import SYSTEM
from khaacho.enums import Role
from khaacho.models import IdempotencyKey, Job
from orders import services as orders
from orders.enums import PaymentTerms
from orders.models import Order, OrderItem, OrderRefusal
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, data, ids
from tests.factories import (
    advance,
    make_employee,
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
def shop() -> Retailer:
    return make_retailer(credit_limit=10_000)


@pytest.fixture
def caller(shop) -> Caller:
    return Caller(shop.user)


@pytest.fixture
def offer() -> VendorProduct:
    product = make_product(name="Wai Wai", tax_rate=13, max_quantity=50)
    return make_offer(product=product, price=Decimal("33.35"), stock=60)


def wanted(*offers: VendorProduct, quantity: int = 3, **fields) -> dict:
    items = [{"product_id": offer.product_id, "quantity": quantity} for offer in offers]
    return {"vendor_id": offers[0].vendor_id, "items": items, "payment_terms": "CREDIT"} | fields


def assert_nothing_stored() -> None:
    assert Order.objects.count() == OrderItem.objects.count() == 0
    assert not VendorProduct.objects.filter(reserved__gt=0).exists()
    assert not CreditAccount.objects.filter(reserved__gt=0).exists()
    assert Job.objects.filter(kind="orders.route").count() == 0
    assert IdempotencyKey.objects.count() == 0


def test_places_an_order(shop, caller, offer):
    response = caller.post("orders/", wanted(offer, notes="before noon"))
    assert response.status_code == 201
    order = Order.objects.get()
    assert caller.get(f"orders/{order.pk}/").json() == response.json()
    answer = response.json()
    created = datetime.fromisoformat(answer.pop("created_at"))
    assert abs(datetime.now(UTC) - created) < timedelta(seconds=30)
    assert created.utcoffset() == timedelta(0)
    assert answer == {
        "id": order.pk,
        "order_number": order.order_number,
        "status": "PLACED",
        "payment_status": "PENDING",
        "payment_terms": "CREDIT",
        "retailer_id": shop.pk,
        "retailer_name": shop.shop_name,
        "vendor_id": offer.vendor_id,
        "vendor_name": offer.vendor.business_name,
        "subtotal": "100.05",
        "tax_amount": "13.01",
        "total": "113.06",
        "paid_amount": "0.00",
        "due_amount": "113.06",
        "due_date": None,
        "invoice_number": None,
        "notes": "before noon",
        "cancel_reason": "",
        "items": [
            {
                "product_id": offer.product_id,
                "product_name": "Wai Wai",
                "sku": offer.product.sku,
                "quantity": 3,
                "unit_price": "33.35",
                "tax_rate": "13.00",
                "tax_amount": "13.01",
                "line_total": "100.05",
            }
        ],
        "accepted_at": None,
        "packed_at": None,
        "dispatched_at": None,
        "out_for_delivery_at": None,
        "delivered_at": None,
        "completed_at": None,
        "cancelled_at": None,
    }
    offer.refresh_from_db()
    assert offer.reserved == 3
    assert CreditAccount.objects.get().reserved == Decimal("113.06")


def test_the_platform_chooses_where_no_vendor_is_named(caller, offer):
    cheap = make_offer(product=offer.product, price=30)
    body = wanted(offer) | {"vendor_id": None}
    assert caller.post("orders/", body).json()["vendor_id"] == cheap.vendor_id
    del body["vendor_id"]
    assert caller.post("orders/", body).json()["vendor_id"] == cheap.vendor_id


def test_staff_order_for_a_shop_and_must_say_which(shop, offer):
    staff = Caller(make_employee())
    document = assert_problem(staff.post("orders/", wanted(offer)), 400, "invalid")
    assert list(document["errors"]) == ["retailer_id"]
    assert_problem(staff.post("orders/", wanted(offer, retailer_id=99999)), 404, "not_found")
    response = staff.post("orders/", wanted(offer, retailer_id=shop.pk))
    assert (response.status_code, response.json()["retailer_id"]) == (201, shop.pk)


def test_nobody_orders_for_another_shop(shop, offer):
    other = make_retailer()
    response = Caller(other.user).post("orders/", wanted(offer, retailer_id=shop.pk))
    assert_problem(response, 403, "permission_denied")
    assert_problem(
        Caller(offer.vendor.user).post("orders/", wanted(offer)), 403, "permission_denied"
    )
    assert_problem(Caller().post("orders/", wanted(offer)), 401, "not_authenticated")
    assert_nothing_stored()


def test_needs_a_key_and_gives_the_first_answer_again(caller, offer):
    missing = caller.post("orders/", wanted(offer), key=None)
    assert_problem(missing, 400, "idempotency_key_missing")
    first = caller.post("orders/", wanted(offer), key="abc")
    again = caller.post("orders/", wanted(offer), key="abc")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotency-Replayed"] == "true"
    assert Order.objects.count() == 1
    reused = caller.post("orders/", wanted(offer, quantity=4), key="abc")
    assert_problem(reused, 422, "idempotency_key_reused")
    other = Caller(make_retailer().user).post("orders/", wanted(offer), key="abc")
    assert other.json()["id"] != first.json()["id"]


def test_over_the_limit_is_refused_with_numbers_and_kept_for_the_credit_desk(offer):
    shop = make_retailer(credit_limit=100)
    response = Caller(shop.user).post("orders/", wanted(offer), key="again")
    document = assert_problem(response, 422, "credit_limit_exceeded")
    assert (document["available"], document["required"]) == ("100.00", "113.06")
    assert document["shortfall"] == "13.06"
    assert_nothing_stored()
    refusal = OrderRefusal.objects.get()
    assert (refusal.retailer, refusal.requested) == (shop, Decimal("113.06"))
    credit.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(200), reason="good customer", actor=SYSTEM
    )
    assert Caller(shop.user).post("orders/", wanted(offer), key="again").status_code == 201


def test_refusals_of_the_trade(shop, caller, offer):
    scarce = make_offer(offer.vendor, make_product(), stock=2)
    document = assert_problem(caller.post("orders/", wanted(scarce)), 422, "insufficient_stock")
    assert document["lines"] == [
        {
            "product_id": scarce.product_id,
            "offer_id": scarce.pk,
            "requested": 3,
            "available": 2,
        }
    ]
    nobody = caller.post("orders/", wanted(scarce, vendor_id=None))
    assert_problem(nobody, 422, "no_vendor_available")
    document = assert_problem(
        caller.post("orders/", wanted(offer, quantity=51)), 422, "minimum_quantity"
    )
    assert document["lines"][0]["maximum"] == 50
    elsewhere = caller.post("orders/", wanted(offer, vendor_id=make_vendor().pk))
    assert_problem(elsewhere, 422, "product_unavailable")
    unknown = assert_problem(caller.post("orders/", wanted(offer, vendor_id=99999)), 400, "invalid")
    assert list(unknown["errors"]) == ["vendor_id"]
    newcomer = Caller(make_retailer(approved=False).user)
    assert_problem(newcomer.post("orders/", wanted(offer)), 422, "retailer_not_approved")
    credit.block_retailer(retailer_id=shop.pk, reason="bounced cheques", actor=SYSTEM)
    document = assert_problem(caller.post("orders/", wanted(offer)), 422, "retailer_blocked")
    assert "bounced cheques" in document["detail"]
    assert_nothing_stored()


def test_a_user_who_was_deactivated_orders_nothing(shop, caller, offer):
    shop.user.is_active = False
    shop.user.save()
    assert_problem(caller.post("orders/", wanted(offer)), 403, "account_inactive")
    assert_nothing_stored()


def test_quotes_without_storing_anything(shop, caller, offer):
    response = caller.post("orders/quote/", wanted(offer), key=None)
    assert response.status_code == 200
    assert response.json() == {
        "is_acceptable": True,
        "vendor_id": offer.vendor_id,
        "subtotal": "100.05",
        "tax_amount": "13.01",
        "total": "113.06",
        "items": [
            {
                "product_id": offer.product_id,
                "product_name": "Wai Wai",
                "sku": offer.product.sku,
                "quantity": 3,
                "available": 60,
                "unit_price": "33.35",
                "tax_rate": "13.00",
                "tax_amount": "13.01",
                "line_total": "100.05",
            }
        ],
        "credit_available": "10000.00",
        "refusals": [],
    }
    assert_nothing_stored()
    assert OrderRefusal.objects.count() == CreditAccount.objects.count() == 0


def test_a_quote_says_why_an_order_would_be_refused(offer):
    shop = make_retailer(credit_limit=100)
    scarce = make_offer(offer.vendor, make_product(), price=50, stock=2)
    caller = Caller(shop.user)
    answer = caller.post("orders/quote/", wanted(offer, scarce)).json()
    assert (answer["is_acceptable"], answer["total"]) == (False, "263.06")
    assert [refusal["code"] for refusal in answer["refusals"]] == [
        "insufficient_stock",
        "credit_limit_exceeded",
    ]
    assert answer["refusals"][1]["shortfall"] == "163.06"
    nothing = caller.post("orders/quote/", wanted(offer, vendor_id=make_vendor().pk)).json()
    assert (nothing["is_acceptable"], nothing["total"], nothing["items"]) == (False, None, [])
    cash = caller.post("orders/quote/", wanted(offer, payment_terms="CASH")).json()
    assert cash["is_acceptable"] is True
    assert OrderRefusal.objects.count() == 0


def test_quotes_are_for_shops_and_staff(shop, offer):
    staff = Caller(make_employee())
    assert staff.post("orders/quote/", wanted(offer, retailer_id=shop.pk)).status_code == 200
    stranger = Caller(make_retailer().user)
    response = stranger.post("orders/quote/", wanted(offer, retailer_id=shop.pk))
    assert_problem(response, 403, "permission_denied")
    vendor = Caller(offer.vendor.user).post("orders/quote/", wanted(offer))
    assert_problem(vendor, 403, "permission_denied")
    assert_problem(Caller().post("orders/quote/", {}, key=None), 401, "not_authenticated")


def test_lists_own_orders_and_all_to_staff(shop, caller, offer):
    first, second = make_order(shop, offer), make_order(shop, offer)
    other = make_order(make_retailer(), make_offer())
    assert ids(caller.get("orders/")) == [second.pk, first.pk]
    assert ids(Caller(offer.vendor.user).get("orders/")) == [second.pk, first.pk]
    assert ids(Caller(other.retailer.user).get("orders/")) == [other.pk]
    assert ids(Caller(other.vendor.user).get("orders/")) == [other.pk]
    assert ids(Caller(make_user(Role.ADMIN, is_superuser=True)).get("orders/")) == [
        other.pk,
        second.pk,
        first.pk,
    ]
    assert_problem(Caller().get("orders/"), 401, "not_authenticated")
    row = data(caller.get("orders/", limit=1))[0]
    assert list(row) == [
        "id",
        "order_number",
        "status",
        "payment_status",
        "total",
        "due_amount",
        "created_at",
    ]
    assert (row["total"], row["due_amount"]) == ("37.69", "37.69")


def test_filters_of_the_list(shop, caller, offer):
    old, new = make_order(shop, offer), make_order(shop, make_offer(), quantity=2)
    advance(old, "DELIVERED")
    other = make_order(make_retailer(), offer)
    staff = Caller(make_employee())
    between = (new.created_at - timedelta(microseconds=1)).isoformat()
    for params, expected in (
        ({"status": "DELIVERED"}, [old]),
        ({"status": ["DELIVERED", "PLACED"]}, [new, old]),
        ({"payment_status": "OVERDUE"}, []),
        ({"vendor_id": offer.vendor_id}, [old]),
        ({"retailer_id": shop.pk}, [new, old]),
        ({"retailer_id": other.retailer_id}, []),
        ({"created_after": between}, [new]),
        ({"created_before": between}, [old]),
        ({"search": old.order_number}, [old]),
        ({"search": old.order_number[-7:]}, [old]),
        ({"search": old.order_number.lower()}, [old]),
        ({"search": "%"}, []),
        ({"sort": "total"}, [old, new]),
        ({"sort": "-due_amount,created_at"}, [new, old]),
    ):
        found = ids(caller.get("orders/", **params))
        assert found == [order.pk for order in expected], params
    assert ids(staff.get("orders/", retailer_id=other.retailer_id)) == [other.pk]
    assert ids(staff.get("orders/", search=other.order_number)) == [other.pk]


@pytest.mark.parametrize(
    "params",
    [
        {"status": "LOST"},
        {"payment_status": "paid"},
        {"vendor_id": "x"},
        {"retailer_id": "-1"},
        {"created_after": "yesterday"},
        {"created_before": "2026-13-01"},
        {"sort": "retailer__user__password"},
        {"cursor": "e30:abc:def"},
        {"page": "x"},
        {"limit": "0"},
    ],
)
def test_refuses_bad_parameters(caller, params):
    document = assert_problem(caller.get("orders/", **params), 400, "invalid")
    assert list(document["errors"]) == list(params)


def test_a_cursor_belongs_to_its_list(shop, caller, offer):
    for _ in range(3):
        make_order(shop, offer)
    first = caller.get("orders/", cursor="", limit=2).json()
    cursor = first["pagination"]["next_cursor"]
    second = caller.get("orders/", cursor=cursor, limit=2).json()
    shown = [row["id"] for row in first["data"] + second["data"]]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == 3
    stolen = Caller(make_employee()).get("payments/", cursor=cursor)
    assert_problem(stolen, 400, "invalid")


def test_one_order_is_its_parties(shop, caller, offer):
    order = make_order(shop, offer)
    for user in (shop.user, offer.vendor.user, make_employee()):
        assert Caller(user).get(f"orders/{order.pk}/").json()["total"] == "37.69"
        assert len(data(Caller(user).get(f"orders/{order.pk}/history/"))) == 1
    for user in (make_retailer().user, make_vendor().user):
        assert_problem(Caller(user).get(f"orders/{order.pk}/"), 404, "not_found")
        assert_problem(Caller(user).get(f"orders/{order.pk}/history/"), 404, "not_found")
    assert_problem(Caller().get(f"orders/{order.pk}/"), 401, "not_authenticated")
    assert_problem(Caller().get(f"orders/{order.pk}/history/"), 401, "not_authenticated")
    assert_problem(caller.get(f"orders/{2**70}/"), 404, "not_found")


def test_history_says_who_did_what(shop, caller, offer):
    order = make_order(shop, offer)
    orders.route_order(order_id=order.pk)
    vendor = Caller(offer.vendor.user)
    vendor.post(f"orders/{order.pk}/accept/")
    caller.post(f"orders/{order.pk}/cancel/", {"reason": "ordered twice"})
    rows = data(caller.get(f"orders/{order.pk}/history/"))
    assert [row.pop("created_at") for row in rows]
    assert rows == [
        {
            "sequence": 1,
            "from_status": None,
            "to_status": "PLACED",
            "actor_name": "Hari",
            "actor_role": "RETAILER",
            "reason": "",
        },
        {
            "sequence": 2,
            "from_status": "PLACED",
            "to_status": "PENDING",
            "actor_name": "system",
            "actor_role": None,
            "reason": "",
        },
        {
            "sequence": 3,
            "from_status": "PENDING",
            "to_status": "ACCEPTED",
            "actor_name": "Ram",
            "actor_role": "VENDOR",
            "reason": "",
        },
        {
            "sequence": 4,
            "from_status": "ACCEPTED",
            "to_status": "CANCELLED",
            "actor_name": "Hari",
            "actor_role": "RETAILER",
            "reason": "ordered twice",
        },
    ]


WAY = [
    ("accept", "ACCEPTED", "accepted_at"),
    ("pack", "PACKING", "packed_at"),
    ("dispatch", "DISPATCHED", "dispatched_at"),
    ("out_for_delivery", "OUT_FOR_DELIVERY", "out_for_delivery_at"),
    ("deliver", "DELIVERED", "delivered_at"),
]


def test_the_whole_way(shop, caller, offer):
    order = make_order(shop, offer, quantity=3)
    orders.route_order(order_id=order.pk)
    vendor = Caller(offer.vendor.user)
    for verb, status, stamp in WAY:
        path = f"orders/{order.pk}/{verb}/"
        assert_problem(caller.post(path), 403, "permission_denied")
        first = vendor.post(path, key=f"{verb}-{order.pk}")
        assert (first.status_code, first.json()["status"]) == (200, status)
        assert first.json()[stamp] is not None
        again = vendor.post(path, key=f"{verb}-{order.pk}")
        assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
        document = assert_problem(vendor.post(path), 409, "illegal_transition")
        assert document["current_status"] == status
        assert_problem(vendor.post(path, key=None), 409, "illegal_transition")
    delivered = vendor.get(f"orders/{order.pk}/").json()
    due = (timezone.localdate() + timedelta(days=30)).isoformat()
    assert delivered["due_date"] == due
    assert delivered["invoice_number"].startswith(offer.vendor.code)
    assert_problem(vendor.post(f"orders/{order.pk}/complete/"), 403, "permission_denied")
    reason = {"reason": "too late"}
    for user in (shop.user, offer.vendor.user, make_employee()):
        response = Caller(user).post(f"orders/{order.pk}/cancel/", reason)
        assert_problem(response, 409, "illegal_transition")
    done = caller.post(f"orders/{order.pk}/complete/")
    assert (done.status_code, done.json()["status"]) == (200, "COMPLETED")
    assert_problem(caller.post(f"orders/{order.pk}/complete/"), 409, "illegal_transition")
    offer.refresh_from_db()
    assert (offer.stock, offer.reserved) == (57, 0)
    assert CreditAccount.objects.get().balance == Decimal("113.06")


def test_staff_may_do_what_a_vendor_may(shop, offer):
    order = make_order(shop, offer)
    orders.route_order(order_id=order.pk)
    staff = Caller(make_employee())
    for verb, status, _ in WAY:
        assert staff.post(f"orders/{order.pk}/{verb}/").json()["status"] == status
    assert staff.post(f"orders/{order.pk}/complete/").json()["status"] == "COMPLETED"


VERBS = [
    "accept",
    "reject",
    "pack",
    "dispatch",
    "out_for_delivery",
    "deliver",
    "complete",
    "cancel",
]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_not_for_strangers(shop, offer, verb):
    order = make_order(shop, offer)
    orders.route_order(order_id=order.pk)
    path, body = f"orders/{order.pk}/{verb}/", {"reason": "mine"}
    stranger = Caller(make_retailer().user).post(path, body)
    status = 404 if verb in {"complete", "cancel"} else 403
    assert stranger.status_code == status
    vendor = Caller(make_vendor().user).post(path, body)
    assert vendor.status_code == (403 if verb == "complete" else 404)
    assert_problem(Caller().post(path, body), 401, "not_authenticated")
    assert_problem(Caller(make_employee()).post(f"orders/99999999/{verb}/", body), 404, "not_found")
    order.refresh_from_db()
    assert order.status == "PENDING"


@pytest.mark.parametrize("verb", ["reject", "cancel"])
@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": 5}, {"reason": "x" * 301}]
)
def test_reject_and_cancel_need_a_reason(shop, offer, verb, body):
    order = make_order(shop, offer)
    orders.route_order(order_id=order.pk)
    response = Caller(offer.vendor.user).post(f"orders/{order.pk}/{verb}/", body)
    assert list(assert_problem(response, 400, "invalid")["errors"]) == ["reason"]


def test_reject_asks_the_next_vendor_who_stays_unknown_to_the_first(shop, caller):
    product = make_product()
    first, second = (make_offer(product=product, price=100) for _ in range(2))
    order = make_order(shop, first, named=False)
    orders.route_order(order_id=order.pk)
    order.refresh_from_db()
    asked, other = (first, second) if order.vendor_id == first.vendor_id else (second, first)
    path = f"orders/{order.pk}/"
    response = Caller(asked.vendor.user).post(f"{path}reject/", {"reason": "no rice left"})
    assert response.status_code == 200
    assert response.json() == {
        "id": order.pk,
        "order_number": order.order_number,
        "status": "PENDING",
    }
    assert_problem(Caller(asked.vendor.user).get(path), 404, "not_found")
    assert caller.get(path).json()["vendor_id"] == other.vendor_id
    last = Caller(other.vendor.user).post(f"{path}reject/", {"reason": "nor here"})
    assert last.json()["status"] == "PLACED"
    assert last.json()["vendor_id"] == other.vendor_id


def test_history_keeps_one_vendor_unnamed_to_another(shop):
    product = make_product()
    first = make_offer(product=product)
    order = make_order(shop, first)
    orders.route_order(order_id=order.pk)
    Caller(first.vendor.user).post(f"orders/{order.pk}/reject/", {"reason": "secret reason"})
    second = make_offer(product=product, price=90)
    orders.reroute_order(order_id=order.pk, actor=SYSTEM)
    rows = data(Caller(second.vendor.user).get(f"orders/{order.pk}/history/"))
    given_up = rows[2]
    assert (given_up["to_status"], given_up["actor_role"]) == ("PLACED", "VENDOR")
    assert (given_up["actor_name"], given_up["reason"]) == ("", "")
    shown_to_shop = data(Caller(shop.user).get(f"orders/{order.pk}/history/"))
    assert shown_to_shop[2]["reason"] == "secret reason"


def test_cancel_by_the_shop_until_dispatch_and_by_the_vendor_until_delivery(shop, caller, offer):
    early = make_order(shop, offer)
    answer = caller.post(f"orders/{early.pk}/cancel/", {"reason": "changed my mind"}).json()
    assert (answer["status"], answer["cancel_reason"]) == ("CANCELLED", "changed my mind")
    again = caller.post(f"orders/{early.pk}/cancel/", {"reason": "again"})
    assert_problem(again, 409, "illegal_transition")
    late = advance(make_order(shop, offer), "DISPATCHED")
    path = f"orders/{late.pk}/cancel/"
    assert_problem(caller.post(path, {"reason": "no"}), 409, "illegal_transition")
    assert Caller(offer.vendor.user).post(path, {"reason": "no"}).json()["status"] == "CANCELLED"
    offer.refresh_from_db()
    assert (offer.stock, offer.reserved) == (60, 0)
    assert CreditAccount.objects.get().reserved == 0


def test_a_vendor_that_was_blocked_accepts_nothing(shop, offer):
    order = make_order(shop, offer)
    orders.route_order(order_id=order.pk)
    vendors.block_vendor(vendor_id=offer.vendor_id, reason="fraud", actor=SYSTEM)
    response = Caller(offer.vendor.user).post(f"orders/{order.pk}/accept/")
    assert_problem(response, 422, "vendor_not_approved")
    order.refresh_from_db()
    assert order.status == "PENDING"


def test_an_order_costs_the_same_however_many_lines(shop, caller, django_assert_num_queries):
    vendor = make_vendor()
    short = make_order(shop, make_offer(vendor))
    long = make_order(shop, *(make_offer(vendor, price=1) for _ in range(50)))
    for order in (short, long):
        with django_assert_num_queries(2):
            caller.get(f"orders/{order.pk}/")


def test_lists_cost_the_same_at_any_length(shop, caller, offer):
    def add(number: int) -> None:
        for _ in range(number):
            make_order(shop, offer, terms=PaymentTerms.CASH)

    assert_constant_queries(caller, "orders/", add, at_most=2)
    VendorProduct.objects.update(stock=500)
    assert_constant_queries(caller, "orders/", add, at_most=1, cursor="")


def test_history_costs_the_same_at_any_length(shop, caller, offer, django_assert_num_queries):
    fresh, done = make_order(shop, offer), advance(make_order(shop, offer), "COMPLETED")
    for order, rows in ((fresh, 1), (done, 8)):
        with django_assert_num_queries(3):
            assert len(data(caller.get(f"orders/{order.pk}/history/"))) == rows


STAFF_ACTS = {
    "accept": {},
    "reject": {"reason": "x"},
    "pack": {},
    "dispatch": {},
    "out_for_delivery": {},
    "deliver": {},
    "complete": {},
    "cancel": {"reason": "x"},
}


@pytest.mark.parametrize("verb", STAFF_ACTS)
def test_an_employees_groups_bind_the_api_too(verb):
    order = make_order(make_retailer(), make_offer())
    support = Caller(make_employee("Support"))
    assert_problem(
        support.post(f"orders/{order.pk}/{verb}/", STAFF_ACTS[verb]), 403, "permission_denied"
    )
    order.refresh_from_db()
    assert order.status == "PLACED"
