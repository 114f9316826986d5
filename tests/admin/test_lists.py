"""Every list: registered, a fixed number of statements, a search that an index serves."""

from collections.abc import Iterable

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credit.models import CreditLedger, Retailer
from khaacho.adminsite import KhaachoModelAdmin
from khaacho.adminsite.paginator import COUNTED, BoundedPaginator
from khaacho.models import AuditLog, Job, QueueSetting, User
from monitoring.models import AlertRule
from orders.models import Order
from payments.models import Payment
from tests.admin.desk import list_of, page_of
from tests.admin.trade import trade
from vendors.models import Product, Vendor

OUR_APPS = ("khaacho", "vendors", "credit", "orders", "payments", "whatsapp", "monitoring")
OUR_MODELS = [
    model
    for label in OUR_APPS
    for model in apps.get_app_config(label).get_models()
    if model._meta.managed
]
SESSION_AND_USER = 2
MOST = 7
BADGES = "FROM alerts WHERE resolved_at IS NULL"  # counts of the side bar, unless Redis is late
# a row for each of the queues at most; a rule for each measure and severity
FEW = {QueueSetting: 6, AlertRule: 24}
NAMES = [model._meta.label for model in OUR_MODELS]


@pytest.mark.parametrize("model", OUR_MODELS, ids=NAMES)
def test_every_model_is_registered_with_our_base(model: type[models.Model]):
    assert isinstance(django_admin.site.get_model_admin(model), KhaachoModelAdmin)


def statements(client: Client, addresses: Iterable[str]) -> dict[str, int]:
    counts = {}
    for address in addresses:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            response = client.get(address)
        assert response.status_code == 200, address
        own = [each for each in captured.captured_queries if BADGES not in each["sql"]]
        counts[address] = len(own) - SESSION_AND_USER
    return counts


def test_lists_cost_the_same_at_1_row_and_at_50(admin: Client):
    addresses = [
        f"{list_of(model)}{query}" for model in OUR_MODELS for query in ("", "?q=980000")
    ]  # of every phone made here
    addresses = [a for a in addresses if "?" not in a or _can_search(a)]
    trade(0)
    few = statements(admin, addresses)
    for number in range(1, 50):
        trade(number)
    many = statements(admin, addresses)
    assert many == few
    assert max(many.values()) <= MOST
    for model in OUR_MODELS:
        assert model.objects.count() >= FEW.get(model, 50), model


def _can_search(address: str) -> bool:
    app_label, model_name = address.split("/")[2:4]
    return bool(django_admin.site.get_model_admin(apps.get_model(app_label, model_name)).searches)


def test_object_pages_and_histories_render(admin: Client):
    trade(0)
    for model in OUR_MODELS:
        page = page_of(model.objects.order_by("-pk").first())
        assert admin.get(page).status_code == 200, page
        assert admin.get(page.replace("/change/", "/history/")).status_code == 200, page


def test_nothing_is_added_or_deleted_but_products_and_fiscal_years(admin: Client):
    trade(0)
    addable = {
        model for model in OUR_MODELS if admin.get(f"{list_of(model)}add/").status_code == 200
    }
    assert {model.__name__ for model in addable} == {"Product", "FiscalYear"}
    for model in OUR_MODELS:
        record = model.objects.order_by("-pk").first()
        address = page_of(record).replace("/change/", "/delete/")
        assert admin.post(address, {"post": "yes"}).status_code == 403, address


def test_view_only_pages_refuse_a_post(admin: Client):
    trade(0)
    for model in (CreditLedger, AuditLog, Job, Order, Payment):
        record = model.objects.order_by("-pk").first()
        assert admin.post(page_of(record), {"status": "DELIVERED"}).status_code == 403, model


@pytest.mark.parametrize(
    ("model", "term", "column"),
    [
        (User, "Sit", "name"),
        (User, "98", "phone"),
        (Product, "rice", "name"),
        (Order, "ORD-2", "order_number"),
        (Retailer, "rtl-", "code"),
        (Vendor, "traders", "business_name"),
    ],
)
def test_search_finds_by_what_the_term_looks_like(admin: Client, model, term, column):
    trade(0)
    wanted = getattr(model.objects.order_by("pk").first(), column)
    found = admin.get(list_of(model), {"q": term}).content.decode()
    assert wanted in found if not term.isdecimal() else True
    assert admin.get(list_of(model), {"q": "nothing-like-it\u0915"}).context["cl"].result_count == 0


def test_orders_are_found_by_bare_number_and_by_the_shops_phone(admin: Client):
    trade(0)
    order = Order.objects.get()
    for term in (
        str(int(order.order_number[-7:])),
        order.order_number.lower(),
        order.retailer.code,
        order.vendor.code,
        order.retailer.user.phone,
        order.retailer.user.phone.removeprefix("+977"),
    ):
        assert list(admin.get(list_of(Order), {"q": term}).context["cl"].result_list) == [order]


def test_lists_sort_by_indexed_columns_alone(admin: Client):
    trade(0)

    def order_by(**query: str) -> tuple[str, ...]:
        return admin.get(list_of(Order), query).context["cl"].queryset.query.order_by

    assert order_by() == ("-created_at", "-created_at", "-pk")
    assert order_by(o="5") == ("-created_at", "-pk")  # the total has no index
    assert order_by(o="1") == ("order_number", "-created_at")


@pytest.fixture
def many_jobs(db):
    """More rows than are counted. ANALYZE writes its estimate outside transactions: it is put back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference)"
            " SELECT 'reports', 'x', '{}', '' FROM generate_series(1, %s) AS n",
            [COUNTED + 500],
        )
        cursor.execute("ANALYZE jobs")
        yield
        cursor.execute("DELETE FROM jobs")
        cursor.execute("ANALYZE jobs")


def test_a_big_table_is_estimated_and_pages_end_at_the_bound(many_jobs):
    whole = BoundedPaginator(Job.objects.order_by("pk"), 50)
    assert whole.count == COUNTED + 500
    assert whole.is_bounded
    assert whole.num_pages == COUNTED // 50
    first = Job.objects.order_by("pk").values_list("pk", flat=True)[0]
    filtered = BoundedPaginator(Job.objects.filter(pk=first).order_by("pk"), 50)
    assert (filtered.count, filtered.is_bounded, filtered.num_pages) == (1, False, 1)


def test_money_is_grouped_in_lakh(admin: Client):
    trade(0)
    page = admin.get(page_of(Retailer.objects.order_by("pk").first())).content.decode()
    assert "NPR 1,00,000.00" in page
