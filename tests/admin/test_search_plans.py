"""An index serves each way of searching: the condition itself, and each step back to the table searched."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.db import connection, models

from khaacho.adminsite import Search
from tests.admin.test_lists import OUR_MODELS

# No index serves these yet: each asks for a migration, and leaves the set with it.
UNINDEXED: set[str] = set()
TERMS = {
    "address": "192.0.2.1",
    "digest": "a" * 64,
    "id": "42",
    "key (order:42:debit)": "order:42:debit",
    "message id": "wamid.1",
    "number of the order or payment": "ORD-2026-00001",
    "object (order:42)": "order:42",
    "order number": "ORD-2026-0000001",
    "phone": "9800000001",
    "reference (order:42)": "order:42",
    "SKU": "RICE-1KG",
}
WAYS = [
    pytest.param(model, way, id=f"{model.__name__} {way.label}")
    for model in OUR_MODELS
    for way in django_admin.site.get_model_admin(model).searches
]


def is_served(queryset: models.QuerySet) -> bool:
    """Whether an index finds the rows of every table, were it big: tables are empty here.

    With bitmaps the only way, a scan without an index condition is one of the whole table.
    """
    with connection.cursor() as cursor:
        for way in ("seqscan", "indexscan", "indexonlyscan", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    text = queryset.order_by().explain(format="json")
    return all("Index Cond" in scan for scan in scans(json.loads(text)[0]["Plan"]))


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read a table or an index."""
    below = node.get("Plans", [])
    if not below and node["Node Type"] != "Result":
        yield node
    for child in below:
        yield from scans(child)


def steps(model: type[models.Model], condition: models.Q) -> list[models.QuerySet]:
    """Return a query of each table on the way: by foreign key, and the last by the condition."""
    first = condition.children[0]
    if condition.connector == models.Q.OR or not isinstance(first, tuple):
        return [model._base_manager.filter(condition)]
    if isinstance(first[1], models.QuerySet):
        return [first[1]]
    found = []
    (path, value), *fixed = condition.children
    while True:
        name, _, rest = path.partition("__")
        field = None if name == "pk" else model._meta.get_field(name)
        if field is None or not field.is_relation:
            return [*found, model._base_manager.filter((path, value), *fixed)]
        found.append(model._base_manager.filter(**{field.attname: 1}))
        model, path = field.related_model, rest


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "way"), WAYS)
def test_an_index_serves_each_way_of_searching(model: type[models.Model], way: Search):
    term = TERMS.get(way.label) or _number(way) or "rice"
    assert re.fullmatch(way.pattern, term)
    served = [is_served(step) for step in steps(model, way.where(term))]
    assert all(served) == (f"{model.__name__} {way.label}" not in UNINDEXED)


def _number(way: Search) -> str:
    prefix = re.search(r"\(([A-Z]{3})-…\)", way.label)
    return f"{prefix[1]}-000123" if prefix else ""
