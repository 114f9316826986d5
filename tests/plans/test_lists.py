"""Every list, at 100,000 orders: how many statements, and that none reads through a big table."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.apps import apps
from django.contrib import admin as django_admin

from bench.scale import explain
from bench.scale.visitors import Visitors, visitors
from khaacho import sql
from khaacho.adminsite import KhaachoModelAdmin

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Page:
    who: str
    path: str
    statements: int

    def __str__(self) -> str:
        return f"{self.who} {self.path}"


PAGES = (
    Page("retailer", "/api/v1/orders/?cursor=", 1),
    Page("retailer", "/api/v1/orders/?status=DELIVERED&cursor=", 1),
    Page("retailer", "/api/v1/orders/?payment_status=OVERDUE&sort=due_amount&cursor=", 1),
    Page("retailer", "/api/v1/credit/", 3),
    Page("retailer", "/api/v1/credit/ledger/?cursor=", 1),
    Page("retailer", "/api/v1/credit/statement/", 3),
    Page("retailer", "/api/v1/credit/score/", 9),
    Page("retailer", "/api/v1/credit/score/history/?cursor=", 1),
    Page("retailer", "/api/v1/payments/?cursor=", 1),
    Page("retailer", "/api/v1/products/?cursor=", 1),
    Page("retailer", "/api/v1/products/?category=Spices&cursor=", 1),
    Page("retailer", "/api/v1/products/?vendor={v.vendor_id}&cursor=", 1),
    Page("retailer", "/api/v1/products/?max_price=10&cursor=", 1),
    Page("retailer", "/api/v1/products/?available=true&cursor=", 1),
    Page("retailer", "/api/v1/products/123/", 2),
    Page("retailer", "/api/v1/products/123/offers/?cursor=", 1),
    Page("retailer", "/api/v1/vendors/?cursor=", 1),
    Page("retailer", "/api/v1/vendors/{v.vendor_id}/products/?cursor=", 1),
    Page("retailer", "/api/v1/dashboard/", 2),
    Page("vendor", "/api/v1/orders/?cursor=", 1),
    Page("vendor", "/api/v1/orders/?status=ACCEPTED&cursor=", 1),
    Page("vendor", "/api/v1/credit/ledger/?cursor=", 1),
    Page("vendor", "/api/v1/payments/?cursor=", 1),
    Page("vendor", "/api/v1/vendor/products/?cursor=", 1),
    Page("vendor", "/api/v1/vendor/receivables/?cursor=", 2),
    Page("vendor", "/api/v1/dashboard/", 2),
    Page("staff", "/api/v1/orders/?cursor=", 1),
    Page("staff", "/api/v1/orders/?status=DELIVERED&payment_status=OVERDUE&cursor=", 1),
    Page("staff", "/api/v1/credit/ledger/?cursor=", 1),
    Page("staff", "/api/v1/credit/ledger/?transaction_type=REVERSAL&cursor=", 1),
    Page("staff", "/api/v1/credit/score/history/?cursor=", 1),
    Page("staff", "/api/v1/payments/?cursor=", 1),
    # By page number: the rows and a bounded count; the planner is asked for an estimate besides.
    Page("staff", "/api/v1/orders/", 2),
    Page("staff", "/api/v1/credit/ledger/", 2),
    Page("staff", "/api/v1/payments/", 2),
    Page("staff", "/api/v1/orders/?search=0000123&cursor=", 1),
    Page("staff", "/api/v1/dashboard/", 2),
    Page("retailer", "/api/v1/products/?search=chiura&cursor=", 2),
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_of_the_api(page: Page, measured: explain.Sizes) -> None:
    v = visitors()

    found = explain.explained(lambda: getattr(v, page.who).get(page.path.format(v=v)))

    assert len(found) == page.statements, [statement.sql for statement in found]
    plans = "\n".join(f"{each.sql}\n{json.dumps(each.plan)}" for each in found)
    assert explain.excessive(found, measured) == [], plans


# A superuser may take statistics away.
NOTHING_KNOWN = (
    "SET LOCAL allow_system_table_mods = on",
    "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')",
)
# What is no join cannot become one that reads both sides.
NO_LOOPS = ("SET LOCAL enable_nestloop = off",)


@pytest.mark.parametrize("belief", [NOTHING_KNOWN, NO_LOOPS], ids=["nothing-known", "no-loops"])
def test_a_score_reads_no_table_whole_whatever_the_planner_believes(
    belief: tuple[str, ...], measured: explain.Sizes
) -> None:
    """As after a restore or a load, until ANALYZE has been there."""
    v = visitors()
    [(may,)] = sql.fetch("SELECT current_setting('is_superuser')::boolean")
    if belief is NOTHING_KNOWN and not may:
        pytest.skip("only a superuser may take statistics away")
    for statement in belief:
        sql.execute(statement)

    found = explain.explained(lambda: v.retailer.get("/api/v1/credit/score/"))

    plans = "\n".join(f"{each.sql}\n{json.dumps(each.plan)}" for each in found)
    assert explain.excessive(found, measured) == [], plans


ADMINS = [
    django_admin.site.get_model_admin(model)
    for label in ("khaacho", "vendors", "credit", "orders", "payments", "whatsapp", "monitoring")
    for model in apps.get_app_config(label).get_models()
    if model._meta.managed  # the others are views over PostgreSQL's statistics
]
SESSION_AND_USER = 2
MOST = 8
CHOICE = re.compile(r'href="(\?[^"]+)"')


def address(admin: KhaachoModelAdmin) -> str:
    return f"/admin/{admin.opts.app_label}/{admin.opts.model_name}/"


def choices(v: Visitors, path: str) -> Iterator[str]:
    """Return the addresses behind the list's filters: every choice that staff can make with one click."""
    body = v.admin.get(path).decode()
    _, _, filters = body.partition('id="changelist-filter"')
    yield from sorted({path + query.replace("&amp;", "&") for query in CHOICE.findall(filters)})


@pytest.mark.parametrize("admin", ADMINS, ids=lambda admin: admin.opts.model_name)
def test_a_list_of_the_admin_with_each_of_its_filters(
    admin: KhaachoModelAdmin, measured: explain.Sizes
) -> None:
    v = visitors()
    wrong = {}
    for path in (address(admin), *choices(v, address(admin))):
        found = explain.explained(lambda path=path: v.admin.get(path))
        if reasons := explain.excessive(found, measured):
            wrong[path] = reasons
        assert len(found) - SESSION_AND_USER <= MOST, path

    assert wrong == {}
