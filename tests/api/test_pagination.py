"""Lists: offset pages, cursors either way, sorting and filters."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from khaacho.models import Alert
from tests.api.clients import assert_problem, make_person, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.routes")]


@pytest.fixture
def client():
    return signed_in(make_person())


def make_alerts(count: int, *, first: int = 0) -> None:
    """Alerts a0000, a0001 …, later ones newer, three sharing each second and each `occurrences`."""
    Alert.objects.bulk_create(
        Alert(
            code=f"a{i:04}",
            severity="info",
            message="m",
            occurrences=i // 3 + 1,
            created_at=Now() + timedelta(seconds=i // 3),
        )
        for i in range(first, first + count)
    )


def codes(response):
    assert response.status_code == 200, response.content
    return [row["code"] for row in response.json()["data"]]


def test_offset_envelope(client):
    make_alerts(45)
    response = client.get("/api/v1/try/alerts/?page=2&limit=20&sort=code")
    assert codes(response) == [f"a{i:04}" for i in range(20, 40)]
    assert list(response.json()) == ["data", "pagination"]
    assert response.json()["pagination"] == {
        "total": 45,
        "page": 2,
        "limit": 20,
        "total_pages": 3,
        "has_next_page": True,
        "has_prev_page": True,
        "next_page": 3,
        "prev_page": 1,
    }
    assert response["Link"] == (
        '</api/v1/try/alerts/?limit=20&page=3&sort=code>; rel="next", '
        '</api/v1/try/alerts/?limit=20&page=1&sort=code>; rel="prev"'
    )


def test_first_last_and_beyond(client):
    make_alerts(21)
    first = client.get("/api/v1/try/alerts/").json()["pagination"]
    assert (first["page"], first["limit"], first["prev_page"], first["next_page"]) == (
        1,
        20,
        None,
        2,
    )
    last = client.get("/api/v1/try/alerts/?page=2").json()["pagination"]
    assert (last["has_next_page"], last["next_page"], last["prev_page"]) == (False, None, 1)
    beyond = client.get("/api/v1/try/alerts/?page=9").json()
    assert beyond["data"] == []
    assert beyond["pagination"]["prev_page"] == 2


def test_empty_list(client):
    response = client.get("/api/v1/try/alerts/")
    assert response.json()["pagination"] | {"data": response.json()["data"]} == {
        "total": 0,
        "page": 1,
        "limit": 20,
        "total_pages": 0,
        "has_next_page": False,
        "has_prev_page": False,
        "next_page": None,
        "prev_page": None,
        "data": [],
    }
    assert "Link" not in response
    cursor = client.get("/api/v1/try/alerts/?cursor=").json()["pagination"]
    assert cursor == {"next_cursor": None, "prev_cursor": None, "has_next_page": False, "limit": 20}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=२०",
        "limit=" + "9" * 30,
        "page=0",
        "page=-1",
        "page=x",
        "page=" + "9" * 30,
        "page=501&limit=20",
        "sort=password",
        "sort=-",
        "sort=code,,code",
        "sort=code,-code",
        "cursor=nonsense",
        "cursor=W10:1:x",
        "occurrences=x",
    ],
)
def test_out_of_range_is_refused(client, query):
    document = assert_problem(client.get(f"/api/v1/try/alerts/?{query}"), 400, "invalid")
    assert list(document["errors"]) == [query.split("=")[0]]


def test_depth_ends_with_advice(client):
    assert client.get("/api/v1/try/alerts/?page=100&limit=100").status_code == 200
    problem = assert_problem(client.get("/api/v1/try/alerts/?page=101&limit=100"), 400, "invalid")
    assert "cursor" in problem["errors"]["page"][0]


def test_sorts_with_a_total_order(client):
    make_alerts(9)
    assert codes(client.get("/api/v1/try/alerts/?sort=-occurrences,code")) == [
        "a0006", "a0007", "a0008", "a0003", "a0004", "a0005", "a0000", "a0001", "a0002",
    ]  # fmt: skip
    newest_first = [f"a{i:04}" for i in reversed(range(9))]
    assert codes(client.get("/api/v1/try/alerts/")) == newest_first
    assert codes(client.get("/api/v1/try/unsorted/")) == newest_first
    assert_problem(client.get("/api/v1/try/unsorted/?sort=code"), 400, "invalid")


def test_filters_and_ignores_what_no_filter_knows(client):
    make_alerts(5)
    assert codes(client.get("/api/v1/try/alerts/?code=a0003&colour=red")) == ["a0003"]
    assert codes(client.get("/api/v1/try/alerts/?occurrences=99999999999999999999")) == []


def walk(client, query, relation="next_cursor", cursor=""):
    """Follow a list by cursor; return the pages of codes and the last page's pagination."""
    pages, pagination = [], {}
    while cursor is not None:
        response = client.get(f"/api/v1/try/alerts/?{query}&cursor={cursor}")
        pages.append(codes(response))
        pagination = response.json()["pagination"]
        cursor = pagination[relation]
        assert len(pages) < 50
    return pages, pagination


SORTS = [
    "",
    "sort=created_at",
    "sort=-occurrences",
    "sort=-occurrences,code",
    "sort=occurrences,-created_at,-code",
]


@pytest.mark.parametrize("sort", SORTS)
def test_cursor_walks_the_whole_list_on_and_back(client, sort):
    make_alerts(23)
    whole = codes(client.get(f"/api/v1/try/alerts/?limit=100&{sort}"))
    pages, last = walk(client, f"limit=5&{sort}")
    assert [code for page in pages for code in page] == whole
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert last["has_next_page"] is False
    back, first = walk(client, f"limit=5&{sort}", "prev_cursor", last["prev_cursor"])
    assert [code for page in reversed(back) for code in page] == whole[:20]
    assert first["prev_cursor"] is None
    assert first["has_next_page"] is True
    again, _ = walk(client, f"limit=5&{sort}", cursor=first["next_cursor"])
    assert [code for page in again for code in page] == whole[5:]


def test_cursor_is_stable_under_inserts_and_removals(client):
    make_alerts(10)
    first = client.get("/api/v1/try/alerts/?sort=code&limit=4&cursor=").json()
    Alert.objects.create(code="a0001x", severity="info", message="m")
    Alert.objects.filter(code="a0003").delete()
    second = client.get(
        f"/api/v1/try/alerts/?sort=code&limit=4&cursor={first['pagination']['next_cursor']}"
    )
    assert codes(second) == ["a0004", "a0005", "a0006", "a0007"]


@pytest.mark.parametrize("sort", ["code", "-occurrences,code"])
def test_nothing_beyond_leads_back_to_the_boundary(client, sort):
    make_alerts(4)
    query = f"/api/v1/try/alerts/?sort={sort}&limit=3&cursor="
    whole = codes(client.get(query.replace("limit=3", "limit=100")))
    after = client.get(query).json()["pagination"]["next_cursor"]
    Alert.objects.filter(code=whole[3]).delete()
    empty = client.get(query + after)
    assert codes(empty) == []
    assert empty.json()["pagination"]["has_next_page"] is False
    assert codes(client.get(query + empty.json()["pagination"]["prev_cursor"])) == whole[:3]


def test_cursor_belongs_to_its_list(client):
    make_alerts(5)
    cursor = client.get("/api/v1/try/alerts/?limit=2&cursor=").json()["pagination"]["next_cursor"]
    for other in (
        f"/api/v1/try/more/?limit=2&cursor={cursor}",
        f"/api/v1/try/alerts/?limit=2&sort=code&cursor={cursor}",
        f"/api/v1/try/alerts/?limit=2&code=a0001&cursor={cursor}",
        f"/api/v1/try/alerts/?limit=2&cursor={cursor[:-1]}",
    ):
        assert_problem(client.get(other), 400, "invalid")
    assert len(codes(client.get(f"/api/v1/try/alerts/?limit=1&cursor={cursor}"))) == 1


def test_cursor_links(client):
    make_alerts(5)
    page = client.get("/api/v1/try/alerts/?limit=2&cursor=")
    target = page["Link"].split(">")[0].lstrip("<")
    following = client.get(target)
    assert codes(following) == ["a0002", "a0001"]
    assert 'rel="next"' in following["Link"]
    assert 'rel="prev"' in following["Link"]


@pytest.mark.parametrize(("query", "queries"), [("page=1", 2), ("cursor=", 1)])
def test_queries_do_not_grow(client, django_assert_num_queries, query, queries):
    for count, first in ((1, 0), (49, 1)):
        make_alerts(count, first=first)
        with django_assert_num_queries(queries):
            client.get(f"/api/v1/try/alerts/?limit=100&{query}")


def test_cursor_reads_one_range_of_an_index(client, django_assert_num_queries):
    make_alerts(5)
    cursor = client.get("/api/v1/try/alerts/?limit=2&cursor=").json()["pagination"]["next_cursor"]
    with django_assert_num_queries(1) as seen:
        client.get(f"/api/v1/try/alerts/?limit=2&cursor={cursor}")
    assert '("alerts"."created_at", "alerts"."id") < (' in seen[0]["sql"]
