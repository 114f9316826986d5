"""Every route of the URL configuration, by everybody: the reviewed table holds, and nothing leaks."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.api.access import ACCESS, WITH_BODY, Row
from tests.api.clients import JSON, anonymous, signed_in
from tests.api.trade import fresh_key
from tests.api.world import World, standing_world

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])

API = "api/v1/"
METHODS = ("get", "post", "put", "patch", "delete")


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every route of the site with its view, as it is written."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern):
            text = str(entry.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
            yield prefix + text, entry.callback


def methods(view: Any) -> list[str]:
    """Return what a view answers to; a plain function may answer to anything, so GET and POST."""
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if kind is None:
        return ["GET", "POST"]
    return [name.upper() for name in METHODS if hasattr(kind, name)]


def named(route: str) -> str:
    return route.removeprefix(API) if route.startswith(API) else f"/{route}"


ROUTES = [(r, view) for r, view in routes() if not r.startswith(("admin/", "static"))]
DOORS = sorted((method, named(r)) for r, view in ROUTES for method in methods(view))


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with standing_world(django_db_blocker) as made:
        yield made


def path_of(route: str, world: World) -> str:
    """Return the address of tenant A's record. A new kind of id must be added to the world."""
    path = re.sub(r"<int:(\w+)>", lambda match: str(world.ids[match[1]]), route)
    about_a_retailer = {"credit/statement/", "credit/score/"}
    named = f"?retailer_id={world.people['retailer_a'].retailer.pk}"
    suffix = named if route in about_a_retailer else ""
    return (path if path.startswith("/") else f"/{API}{path}") + suffix


def knock(client: Client, method: str, path: str, body: dict[str, object]) -> Any:
    """Send one request and undo what it did."""
    with transaction.atomic():
        headers = {"Idempotency-Key": fresh_key()} if method == "POST" else {}
        options = {} if method == "GET" else {"data": body, "content_type": JSON}
        answer = getattr(client, method.lower())(path, headers=headers, **options)
        transaction.set_rollback(True)
    return answer


def check(world: World, method: str, route: str, body: dict[str, object], row: Row) -> None:
    for who, expected in row._asdict().items():
        user = world.people[who]
        client = signed_in(user) if user else anonymous()
        answer = knock(client, method, path_of(route, world), body)
        assert answer.status_code == expected, (who, answer.content[:300])
        text = answer.content.decode(errors="replace")
        assert [secret for secret in world.secrets(who) if secret in text] == [], who


def test_every_route_and_method_has_a_row():
    assert sorted(ACCESS) == DOORS


@pytest.mark.parametrize(("method", "route"), DOORS, ids=" ".join)
def test_everybody_knocks(world, method, route):
    check(world, method, route, {}, ACCESS[method, route])


@pytest.mark.parametrize(("method", "route"), sorted(WITH_BODY), ids=" ".join)
def test_everybody_knocks_with_a_body(world, method, route):
    body, row = WITH_BODY[method, route]
    check(world, method, route, body, row)


def test_markers_are_found_where_they_belong(world):
    """The search for leaks can see: A's own do find A's secrets."""
    shop = signed_in(world.people["retailer_a"])
    texts = [
        shop.get(f"/{API}{path}").content.decode()
        for path in ("orders/", "payments/", "credit/ledger/", f"orders/{world.ids['order_id']}/")
    ]
    seen = {secret for secret in world.shop_only for text in texts if secret in text}
    assert len(seen) >= 8


@pytest.mark.parametrize("who", ["nobody", "retailer_a", "vendor_a"])
def test_the_admin_is_for_staff(world, who):
    user = world.people[who]
    client = Client(raise_request_exception=False)
    if user:
        client.force_login(user)
    doors = {re.sub(r"<[^>]+>", "1", r) for r, _ in routes() if r.startswith("admin/")}
    doors = {re.sub(r"\(\?P<\w+>[^)]*\)", "1", door) for door in doors}
    for door in sorted(doors - {"admin/login/", "admin/logout/"}):
        for method in ("get", "post"):
            answer = getattr(client, method)(f"/{door}")
            assert answer.status_code in {302, 403, 404}, (door, method, answer.status_code)
            if answer.status_code == 302:
                assert answer["Location"].startswith("/admin/login/"), (door, answer["Location"])
