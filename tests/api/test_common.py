"""Permissions, request ids, the schema and its page, verbs."""

import json

import pytest
import yaml

from khaacho import tenants
from khaacho.enums import Role
from tests.api import routes
from tests.api.clients import JSON, anonymous, assert_problem, make_person, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.routes")]


def shop_of(user_id: int) -> int:
    return user_id + 1000


@pytest.fixture(autouse=True)
def _tenants(monkeypatch):
    monkeypatch.setattr(tenants, "_selectors", {})
    tenants.register(Role.RETAILER, f"{__name__}.shop_of")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ADMIN, {"staff", "vendors"}),
        (Role.OPERATOR, {"staff", "vendors"}),
        (Role.RETAILER, {"retailers"}),
        (Role.VENDOR, set()),  # one without a business
    ],
)
def test_doors_open_by_role(role, allowed):
    client = signed_in(make_person(role))
    for door in ("staff", "retailers", "vendors"):
        response = client.get(f"/api/v1/try/{door}/")
        if door in allowed:
            assert response.status_code == 200
        else:
            assert_problem(response, 403, "permission_denied")


@pytest.mark.parametrize("door", ["staff", "retailers", "vendors", "alerts", "rename/2"])
def test_anonymous_is_asked_to_sign_in(door):
    response = (
        anonymous().post(f"/api/v1/try/{door}/")
        if "/" in door
        else anonymous().get(f"/api/v1/try/{door}/")
    )
    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="khaacho"'


def test_authentication_costs_no_query(django_assert_num_queries):
    client = signed_in(make_person())
    with django_assert_num_queries(0):
        assert client.get("/api/v1/try/staff/").status_code == 200


def test_request_id_is_taken_when_harmless():
    taken = anonymous().get("/api/v1/nowhere/", headers={"X-Request-ID": "abc-1"})
    assert taken["X-Request-ID"] == taken.json()["request_id"] == "abc-1"
    made = anonymous().get("/api/v1/nowhere/", headers={"X-Request-ID": "a b\n"})
    assert made["X-Request-ID"] == made.json()["request_id"] != "a b\n"


def test_verb_runs_with_the_body_and_the_route():
    client = signed_in(make_person())
    response = client.post("/api/v1/try/rename/2/", {"quantity": 4}, JSON)
    assert (response.status_code, response.json()) == (200, {"quantity": 8})


def test_verb_refused_runs_its_hook_once():
    routes.after_rollback.clear()
    client = signed_in(make_person())
    for headers in ({}, {"Idempotency-Key": "k"}):
        response = client.post("/api/v1/try/rename/2/", {"quantity": 13}, JSON, headers=headers)
        assert_problem(response, 422, "refused")
    assert routes.after_rollback == ["kept", "kept"]


def test_verb_without_an_answer():
    client = signed_in(make_person())
    assert_problem(
        client.post("/api/v1/try/nothing/", content_type=JSON), 400, "idempotency_key_missing"
    )
    for _ in range(2):
        response = client.post("/api/v1/try/nothing/", b"", JSON, headers={"Idempotency-Key": "k"})
        assert (response.status_code, response.content) == (204, b"")


def test_schema_documents_the_common_parts():
    response = anonymous().get("/api/v1/schema/", headers={"Accept": JSON})
    schema = json.loads(response.content)
    assert schema["openapi"] == "3.1.0"
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert "Problem" in schema["components"]["schemas"]
    listed = schema["paths"]["/api/v1/try/alerts/"]["get"]
    names = {parameter["name"] for parameter in listed["parameters"]}
    assert names == {"code", "occurrences", "sort", "limit", "page", "cursor"}
    assert set(listed["responses"]) == {"200", "400", "401", "403", "429", "503"}
    (ref,) = listed["responses"]["200"]["content"].values()
    envelope = schema["components"]["schemas"][ref["schema"]["$ref"].rsplit("/", 1)[1]]
    assert envelope["required"] == ["data", "pagination"]
    for path, required in [("once", False), ("once-required", True), ("nothing", True)]:
        (key,) = schema["paths"][f"/api/v1/try/{path}/"]["post"]["parameters"]
        assert (key["name"], key["in"]) == ("Idempotency-Key", "header")
        assert key.get("required", False) is required


def test_schema_is_yaml_by_default():
    assert yaml.safe_load(anonymous().get("/api/v1/schema/").content)["info"]["title"] == "Khaacho"


def test_docs_need_no_other_host():
    page = anonymous().get("/api/v1/docs/").content.decode()
    assert "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "http://" not in page
    assert "https://" not in page
