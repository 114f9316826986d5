"""What every answer of the API has, and how its routes are found."""

import pytest
from django.test import Client
from django.urls import get_resolver, resolve

from khaacho.api.routes import Remembering

PARAMETERLESS = "/api/v1/orders/"


def api() -> Remembering:
    return next(p for p in get_resolver().url_patterns if isinstance(p, Remembering))


def test_a_path_without_parameter_is_resolved_once():
    first = api().resolve("api/v1/orders/")
    assert api().resolve("api/v1/orders/") is first
    assert resolve(PARAMETERLESS).url_name == "orders"


def test_paths_with_parameters_are_resolved_each_time():
    for number in (7, 8):
        assert resolve(f"/api/v1/orders/{number}/").kwargs == {"order_id": number}
    assert not any(match.kwargs or match.args for match in api()._known.values())


def test_what_one_request_does_to_its_route_no_other_sees():
    resolve(PARAMETERLESS).kwargs["order_id"] = 7
    assert resolve(PARAMETERLESS).kwargs == {}


def test_a_path_that_is_no_route_is_not_remembered():
    known = set(api()._known)
    for number in range(50):
        assert Client().get(f"/api/v1/nowhere-{number}/").status_code == 404
    assert set(api()._known) == known


@pytest.mark.parametrize("path", ["/api/v1/orders/", "/api/v1/nowhere/", "/api/v1/orders/?a=%00"])
def test_an_answer_says_how_long_it_is_and_is_not_framed(path):
    response = Client().get(path)
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_host_that_is_not_ours_is_refused(settings):
    settings.ALLOWED_HOSTS = ["khaacho.example"]
    response = Client().get(PARAMETERLESS, headers={"host": "elsewhere.example"})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
