"""Every filter of every list has an index: what is rare or absent is found so without reading the table.

Each table is copies of one row, so that a filter's choice is either all of it or nothing.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.db import connection, models
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker
from rest_framework.request import Request

from khaacho.adminsite.paginator import COUNTED
from khaacho.adminsite.record_list import RecordList, total_order
from khaacho.api import keyset
from tests.admin.crowd import COPIES, crowd, tables
from tests.admin.desk import list_of
from tests.admin.test_lists import OUR_MODELS

ROWS = 4_000
FEW = 600  # a page of 50 with what is joined to it, and as much again
SMALL = {"Vendor", "LimitChange"}  # tables that a person fills by hand


@pytest.fixture
def _statistics_put_back(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """ANALYZE writes a table's size outside transactions."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {', '.join(tables())}")


@pytest.fixture
def crowded(_statistics_put_back: None, db: None) -> None:
    crowd(ROWS)


def shown(model: type[models.Model], user: Any, query: str) -> RecordList:
    request = RequestFactory().get(list_of(model) + query)
    request.user = user
    return django_admin.site.get_model_admin(model).get_changelist_instance(request)


def choices(model: type[models.Model], user: Any) -> list[str]:
    """Return the addresses of each choice of each filter, and of the list without any."""
    specs = shown(model, user, "").filter_specs
    changelist = shown(model, user, "")
    return ["", *(choice["query_string"] for spec in specs for choice in spec.choices(changelist))]


def reads(queryset: models.QuerySet) -> int:
    return looks(*queryset.query.sql_with_params())


def looks(statement: str, params: Any = None) -> int:
    """Return how many rows a statement's scans look at."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", params)
        found = cursor.fetchone()[0]
    plan = json.loads(found) if isinstance(found, str) else found
    return sum(looked_at(node) for node in scans(plan[0]["Plan"]))


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in node or node["Node Type"] == "Bitmap Index Scan":
        yield node
    for child in node.get("Plans", []):
        yield from scans(child)


def looked_at(node: dict[str, Any]) -> int:
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int(each * node["Actual Loops"])


def page_of(changelist: RecordList) -> models.QuerySet:
    terms = total_order(changelist.model, changelist.queryset.query.order_by)
    return changelist.queryset.order_by(*terms)


def test_every_filter_is_served_by_an_index(crowded, admin_user):
    filtered = {model for model in OUR_MODELS if choices(model, admin_user)[1:]}
    assert filtered - set(COPIES) == {model for model in OUR_MODELS if model.__name__ in SMALL}
    wrong = {}
    for model in COPIES:
        for query in choices(model, admin_user):
            changelist = shown(model, admin_user, query)
            rows = page_of(changelist)
            cost = reads(rows[:51])
            if not rows.exists():
                cost += reads(rows.order_by()[: COUNTED + 1])
            if cost > FEW:
                wrong[f"{model.__name__} {query}"] = cost
    assert json.dumps(wrong, indent=1) == "{}"


def test_a_page_deep_in_a_list_reads_no_more_than_the_first(crowded, admin_user):
    wrong = {}
    for model in COPIES:
        rows = page_of(shown(model, admin_user, ""))
        terms = total_order(model, rows.query.order_by)
        place = tuple(getattr(rows[ROWS // 2], term.lstrip("-")) for term in terms)
        salt = keyset.salt_of(Request(RequestFactory().get(list_of(model))), terms)
        for backward in (False, True):
            cursor = keyset.encode(keyset.Cursor(place, backward=backward), salt)
            with CaptureQueriesContext(connection) as captured:
                assert shown(model, admin_user, f"?cursor={cursor}").walk.previous
            cost = looks(captured.captured_queries[-1]["sql"])
            if cost > FEW:
                wrong[f"{model.__name__} {backward}"] = cost
    assert json.dumps(wrong, indent=1) == "{}"
