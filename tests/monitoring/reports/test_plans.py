"""The statements about reports themselves use the indexes made for them, on a table big enough to care."""

import json
from typing import Any

import pytest
from django.db import connection

from khaacho import sql
from khaacho.actors import SYSTEM, Actor
from khaacho.enums import Role
from khaacho.tenants import actor_of
from monitoring import selectors, services
from monitoring.models import Report
from monitoring.reports import files
from tests.factories import make_employee, make_retailer, make_user

FILL = """
INSERT INTO reports (kind, format, filters, state, progress, row_count, size, sha256, file_name,
    created_at, finished_at, expires_at, requested_by_id)
SELECT 'CREDIT_SUMMARY', 'csv', jsonb_build_object('n', n), 'done', 100, 1, 1, 'x', 'x',
    now() - n * interval '1 minute', now(), now() + interval '1 day' - n * interval '1 minute', %s
FROM generate_series(1, 20000) AS n
"""
OPEN = """
INSERT INTO reports (kind, format, filters, retailer_id, requested_by_id)
VALUES ('STATEMENT', 'csv', '{}', %s, %s)
"""


def names(plan: Any) -> set[str]:
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    for part in plan.get("Plans", []):
        found |= names(part)
    return found


def indexes(statement: str, params: Any) -> set[str]:
    row = sql.fetch_one(f"EXPLAIN (FORMAT JSON) {statement}", params)
    assert row is not None
    plan = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    return names(plan[0]["Plan"])


def of(queryset: Any) -> set[str]:
    return indexes(*queryset.query.sql_with_params())


@pytest.mark.django_db
def test_each_index_is_used_by_what_it_was_made_for():
    shop, idle = make_retailer(), make_user(Role.OPERATOR)
    sql.execute(FILL, [make_employee().pk])
    sql.execute(OPEN, [shop.pk, idle.pk])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reports")

    everybodys = selectors.reports(SYSTEM).order_by("-created_at", "-id")[:20]
    assert "report_created_idx" in of(everybodys)
    own = selectors.reports(actor_of(idle)).order_by("-created_at", "-id")[:20]
    assert "report_asker_idx" in of(own)
    statements = Report.objects.filter(retailer=shop).order_by("-pk")[:11]
    assert "report_retailer_idx" in of(statements)
    assert "report_open_once" in indexes(services.MEND, {})
    assert "report_expires_idx" in indexes(files.FORGET_FILES, {"limit": 100})
    forget = indexes(services.FORGET_ROWS, {"days": 365, "limit": 1000})
    assert "report_created_idx" in forget
    for field, value in (("state", "queued"), ("kind", "STATEMENT")):
        found = Report.objects.filter(**{field: value}).order_by("-pk")[:50]
        assert f"report_{field}_idx" in of(found), field


@pytest.mark.django_db
def test_who_is_no_employee_sees_none():
    shop = make_retailer()
    sql.execute(OPEN, [shop.pk, shop.user_id])
    actor = Actor(user_id=shop.user_id, role=Role.RETAILER, retailer_id=shop.pk)
    assert list(selectors.reports(actor)) == []
    assert selectors.reports(SYSTEM).count() == 1
