"""The views as staff and machines meet them: lists that are read once, pages, problem documents."""

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin as django_admin
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho import permissions
from khaacho.enums import Role
from monitoring.view_models import IndexUsage, MissingIndex, SlowQuery, TableBloat
from tests.admin.desk import list_of, page_of
from tests.api.clients import assert_problem, make_person
from tests.api.clients import signed_in as caller
from tests.factories import make_user

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])

VIEWS = [SlowQuery, IndexUsage, TableBloat, MissingIndex]
DOORS = ["slow-queries", "index-usage", "table-bloat", "missing-indexes"]


@pytest.fixture
def desk() -> Client:
    client = Client()
    client.force_login(make_user(Role.ADMIN, is_superuser=True))
    return client


@pytest.fixture
def unreachable() -> Iterator[None]:
    """Have the alias lead to a port on which nobody listens."""
    own = connections["monitor"]
    dead = own.copy(alias="monitor")
    dead.settings_dict["HOST"], dead.settings_dict["PORT"] = "127.0.0.1", "1"
    connections["monitor"] = dead
    yield
    connections["monitor"] = own


@pytest.mark.parametrize("model", VIEWS)
def test_every_column_sorts_and_every_filter_is_fixed(desk, model):
    shown = django_admin.site.get_model_admin(model)
    for number in range(len(shown.list_display)):
        for sign in ("", "-"):
            with CaptureQueriesContext(connections["monitor"]) as captured:
                response = desk.get(list_of(model), {"o": f"{sign}{number}"})
            assert response.status_code == 200
            table = f'FROM "{model._meta.db_table}"'
            assert sum(table in query["sql"] for query in captured) == 1
    for name in shown.list_filter:
        assert desk.get(list_of(model), {f"{name}__exact": "1"}).status_code == 200


def test_an_index_has_a_page_and_sizes_for_people(desk):
    response = desk.get(list_of(IndexUsage), {"o": "-4"})
    rows = response.context["cl"].result_list
    assert len(rows) == 50
    sizes = [row.index_size for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert "KB" in response.content.decode()
    page = desk.get(page_of(rows[0])).content.decode()
    assert f"{rows[0].definition}"[:20] in page
    assert desk.post(page_of(rows[0]), {"index": "x"}).status_code == 403


def test_tables_say_why_there_is_no_estimate(desk):
    text = desk.get(list_of(TableBloat), {"o": "2"}).content.decode()  # the smallest first
    assert '<span class="badge quiet">smaller than 1 MB</span>' in text


@pytest.mark.parametrize("model", VIEWS)
def test_an_unreachable_server_is_a_page_with_its_remedy(desk, unreachable, model):
    for address in (list_of(model), f"{list_of(model)}1/change/"):
        response = desk.get(address)
        text = response.content.decode()
        assert response.status_code == 200
        assert "The database server cannot be reached." in text
        assert "systemctl start postgresql" in text


def test_missing_extension_is_said_above_the_list(desk):
    with connections["monitor"].cursor() as cursor:
        cursor.execute("SET LOCAL pg_stat_statements.track = 'none'")
    text = desk.get(list_of(SlowQuery)).content.decode()
    assert "PostgreSQL does not count statements here." in text
    assert "ALTER SYSTEM SET pg_stat_statements.track" in text


def test_database_people_and_owners_may_look(db):
    permissions.sync_groups()
    for group in ("Database", "Owner"):
        names = permissions.Group.objects.get(name=group).permissions.values_list(
            "codename", flat=True
        )
        assert {"view_slowquery", "view_indexusage", "view_tablebloat", "view_missingindex"} <= set(
            names
        )
        assert "add_slowquery" not in names


@pytest.mark.parametrize("door", DOORS)
def test_lists_for_machines(door):
    client = caller(make_person(Role.OPERATOR))
    for path in (f"/api/v1/monitoring/{door}", f"/api/v1/monitoring/{door}/"):
        body = client.get(path, {"limit": 2}).json()
        assert set(body) == {"data", "pagination"}
        assert body["pagination"]["limit"] == 2
    assert_problem(client.get(path, {"sort": "nonsense"}), 400, "invalid")
    assert_problem(client.get(path, {"cursor": ""}), 400, "invalid")
    assert_problem(client.get(path, {"limit": 101}), 400, "invalid")


def test_machines_sort_and_turn_pages():
    client = caller(make_person(Role.OPERATOR))
    path = "/api/v1/monitoring/table-bloat"
    answer = client.get(path, {"sort": "-index_size,table", "limit": 5})
    assert_problem(answer, 400, "invalid")
    first = client.get(path, {"sort": "table", "limit": 5})
    second = client.get(path, {"sort": "table", "limit": 5, "page": 2}).json()
    names = [row["table"] for row in [*first.json()["data"], *second["data"]]]
    assert names == sorted(names)
    assert len(names) == 10
    assert first["Cache-Control"] == "no-store"
    assert 'rel="next"' in first["Link"]
    row = first.json()["data"][0]
    assert re.fullmatch(r"\d{1,3}\.\d\d", row["dead_tuple_percent"])
    assert isinstance(row["total_size"], int)


@pytest.mark.parametrize("door", DOORS)
def test_machines_are_told_the_remedy(unreachable, door):
    answer = caller(make_person(Role.OPERATOR)).get(f"/api/v1/monitoring/{door}")
    assert_problem(answer, 503, "statistics_unavailable")
    assert answer["Retry-After"] == "30"
    assert answer.json()["reason"] == "NoConnection"
    assert "systemctl start postgresql" in answer.json()["remedy"]
