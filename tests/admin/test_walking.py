"""A long list is walked by cursor: every row once, in the list's order, at the same cost everywhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho.adminsite.paginator import COUNTED
from khaacho.adminsite.record_list import CURSOR, LAST, total_order
from khaacho.enums import JobState
from khaacho.models import AuditLog, Job
from tests.admin.desk import list_of
from tests.admin.test_lists import OUR_MODELS

JOBS = "/admin/khaacho/job/"
MOST = 8 + 2  # session and user
PER_PAGE = 50


def make_jobs(count: int, **columns: Any) -> None:
    Job.objects.bulk_create(Job(queue="reports", kind=f"kind-{n}", **columns) for n in range(count))


def page(client: Client, address: str) -> Any:
    """Return the list that a page shows."""
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.context["cl"]


def pks(shown: Any) -> list[int]:
    return [record.pk for record in shown.result_list]


def walked(client: Client, address: str, way: str) -> list[list[int]]:
    """Return the pages from `address` on, by the links that they show."""
    pages = []
    while address:
        shown = page(client, address)
        pages.append(pks(shown))
        there = getattr(shown.walk, way)
        address = there and address.partition("?")[0] + there
    return pages


@pytest.mark.parametrize("query", ["", "o=1&", "o=-1&", "o=2&"])
def test_every_row_once_in_the_order_of_page_numbers(admin: Client, query):
    make_jobs(2 * PER_PAGE + 7)
    admin_of_jobs = django_admin.site.get_model_admin(AuditLog)
    assert admin_of_jobs.list_per_page == PER_PAGE
    numbered = [pks(page(admin, f"{JOBS}?{query}p={n}")) for n in (1, 2, 3)]
    assert [len(rows) for rows in numbered] == [PER_PAGE, PER_PAGE, 7]
    assert walked(admin, f"{JOBS}?{query}{CURSOR}=", "next") == numbered
    back = walked(admin, f"{JOBS}?{query}{CURSOR}={LAST}", "previous")
    assert [pk for rows in reversed(back) for pk in rows] == [
        pk for rows in numbered for pk in rows
    ]
    assert [len(rows) for rows in back] == [PER_PAGE, PER_PAGE, 7]


def test_the_ends_have_no_way_on(admin: Client):
    make_jobs(PER_PAGE + 1)
    first = page(admin, f"{JOBS}?{CURSOR}=").walk
    assert (first.first, first.previous) == ("", "")
    last = page(admin, f"{JOBS}?{CURSOR}={LAST}").walk
    assert (last.next, last.last) == ("", "")
    assert first.next
    assert last.previous


def test_rows_that_arrive_meanwhile_move_nothing(admin: Client):
    make_jobs(2 * PER_PAGE)
    first = page(admin, f"{JOBS}?{CURSOR}=")
    expected = pks(page(admin, JOBS + first.walk.next))
    make_jobs(30)
    Job.objects.filter(pk=pks(first)[-1]).delete()
    assert pks(page(admin, JOBS + first.walk.next)) == expected


def test_filters_search_and_order_are_kept_and_a_new_filter_begins_anew(admin: Client):
    make_jobs(PER_PAGE + 5, state=JobState.DEAD, reference="order:7")
    make_jobs(3, reference="order:7")
    address = f"{JOBS}?state__exact=dead&q=order:7&o=-1&{CURSOR}="
    shown = page(admin, address)
    for name in ("state__exact=dead", "q=order%3A7", "o=-1"):
        assert name in shown.walk.next
    deep = page(admin, JOBS + shown.walk.next)
    assert len(pks(deep)) == 5
    assert {record.state for record in deep.result_list} == {JobState.DEAD}
    assert CURSOR not in deep.get_query_string({"queue__exact": "reports"})
    assert CURSOR not in deep.walk.first


@pytest.mark.parametrize("cursor", ["x", "WzEsMl0:abc:def", "%00", "%F0%9F%9B%92", "a" * 4000])
def test_a_cursor_that_was_tampered_with_leads_to_the_first_page(admin: Client, cursor):
    make_jobs(PER_PAGE + 1)
    response = admin.get(f"{JOBS}?{CURSOR}={cursor}")
    assert response.status_code == 200
    assert pks(response.context["cl"]) == pks(page(admin, JOBS))
    assert "not valid" in response.content.decode()


def test_a_cursor_of_another_list_leads_to_the_first_page(admin: Client):
    make_jobs(PER_PAGE + 1)
    cursor = page(admin, f"{JOBS}?{CURSOR}=").walk.next.partition(f"{CURSOR}=")[2]
    for other in (f"{JOBS}?o=1&", f"{JOBS}?queue__exact=reports&", f"{list_of(AuditLog)}?"):
        response = admin.get(f"{other}{CURSOR}={cursor}")
        assert response.status_code == 200
        assert "not valid" in response.content.decode()
        assert response.context["cl"].walk.previous == ""


def test_a_bulk_act_works_on_a_page_deep_in_the_list(admin: Client):
    make_jobs(PER_PAGE + 2, state=JobState.DEAD)
    address = JOBS + page(admin, f"{JOBS}?{CURSOR}=").walk.next
    chosen = pks(page(admin, address))
    assert len(chosen) == 2
    data = {"action": "retry_job", "_selected_action": chosen}
    asked = admin.post(address, data)
    assert "2 of 2 can be done" in asked.content.decode()
    done = admin.post(address, {**data, "_confirm": "1"})
    assert (done.status_code, done["Location"]) == (302, address)
    assert set(Job.objects.filter(state=JobState.QUEUED).values_list("pk", flat=True)) == set(
        chosen
    )


@pytest.fixture
def many_jobs(db) -> Iterator[None]:
    """More rows than are counted. ANALYZE writes its estimate outside transactions: it is put back."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state)"
            " SELECT 'reports', 'x', '{}', '', 'queued' FROM generate_series(1, %s) AS n",
            [COUNTED + 1_400],
        )
        cursor.execute("ANALYZE jobs")
        yield
        cursor.execute("DELETE FROM jobs")
        cursor.execute("ANALYZE jobs")


def test_a_long_list_is_walked_to_its_end(admin: Client, many_jobs):
    shown = page(admin, JOBS)
    assert shown.walk.next
    assert "about 11,000 jobs" in admin.get(JOBS).content.decode()
    last = page(admin, JOBS + shown.walk.last)
    assert (
        pks(last) == list(Job.objects.order_by("pk").values_list("pk", flat=True)[:PER_PAGE])[::-1]
    )
    assert "more than 10,000 jobs" in admin.get(f"{JOBS}?state__exact=queued").content.decode()


def test_each_page_costs_the_same_statements(admin: Client, many_jobs):
    shown = page(admin, JOBS)
    deep = page(admin, JOBS + page(admin, JOBS + shown.walk.next).walk.next)
    costs = []
    for query in ("", shown.walk.next, deep.walk.next, deep.walk.previous, shown.walk.last):
        with CaptureQueriesContext(connection) as captured:
            page(admin, JOBS + query)
        costs.append(len(captured))
        assert not [q["sql"] for q in captured if "OFFSET" in q["sql"] or "COUNT(*)" in q["sql"]]
    assert len(set(costs)) == 1
    assert costs[0] <= MOST


@pytest.mark.parametrize("model", OUR_MODELS, ids=[model._meta.label for model in OUR_MODELS])
def test_every_order_of_a_list_is_total_and_can_be_walked(model):
    shown = django_admin.site.get_model_admin(model)
    orders = [
        shown.ordering,
        *shown.ordering_when.values(),
        *((name,) for name in shown.sortable_by),
    ]
    for order in orders:
        terms = total_order(model, [*order, "-pk"])
        assert model._meta.get_field(terms[-1].removeprefix("-")).unique
