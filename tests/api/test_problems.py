"""Every error leaves the API as a problem document, whatever raised it and wherever."""

import json
import logging

import pytest
from rest_framework.exceptions import ErrorDetail

from khaacho.api import problems
from tests.api import routes
from tests.api.clients import JSON, anonymous, assert_problem, make_person, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.routes")]


@pytest.mark.parametrize(
    ("kind", "status", "code", "retry_after"),
    [
        ("conflict", 409, "conflict", None),
        ("forbidden", 403, "permission_denied", None),
        ("gone", 404, "not_found", None),
        ("throttled", 429, "throttled", "13"),
        ("http404", 404, "not_found", None),
        ("django-403", 403, "permission_denied", None),
        ("suspicious", 400, "invalid", None),
        ("too-big", 413, "content_too_large", None),
        ("operational", 503, "database_unavailable", "5"),
        ("bug", 500, "internal_error", None),
        ("timeout", 503, "timeout", "5"),
        ("deadlock", 503, "busy", "1"),
        ("lock", 503, "busy", "1"),
        ("too-many-clients", 503, "database_unavailable", "5"),
        ("trigger", 409, "conflict", None),
        ("out-of-range", 400, "invalid", None),
        ("syntax", 500, "internal_error", None),
    ],
)
def test_maps_what_a_view_raises(kind, status, code, retry_after):
    response = anonymous().get(f"/api/v1/try/fail/{kind}/")
    document = assert_problem(response, status, code)
    assert response.headers.get("Retry-After") == retry_after
    assert "secret" not in json.dumps(document)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("refused", 422, "refused"),
        ("http404", 404, "not_found"),
        ("operational", 503, "database_unavailable"),
        ("bug", 500, "internal_error"),
    ],
)
def test_maps_what_a_view_without_drf_raises(kind, status, code):
    assert_problem(anonymous().get(f"/api/v1/try/plain/{kind}/"), status, code)


def test_refusal_carries_its_numbers_and_runs_its_hook_once():
    routes.after_rollback.clear()
    document = assert_problem(anonymous().get("/api/v1/try/fail/refused/"), 422, "refused")
    assert document["detail"] == "Too dear."
    assert document["available"] == "10.00"
    assert document["lines"] == [{"product_id": 1}]
    assert routes.after_rollback == ["kept"]


def test_names_fields_of_an_invalid_request():
    document = assert_problem(anonymous().get("/api/v1/try/fail/invalid/"), 400, "invalid")
    assert document["errors"] == {"phone": ["Taken."]}


def test_unhandled_error_is_logged_with_its_traceback(caplog):
    anonymous().get("/api/v1/try/fail/bug/")
    (record,) = [r for r in caplog.records if r.getMessage() == "request.failed"]
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is ZeroDivisionError
    assert record.route == "api/v1/try/fail/<str:kind>/"


def test_rejection_is_logged_with_the_user(caplog):
    caplog.set_level(logging.INFO)
    user = make_person()
    signed_in(user).get("/api/v1/try/fail/forbidden/")
    (record,) = [r for r in caplog.records if r.name == "khaacho.rejections"]
    assert (record.status, record.code, record.user_id) == (403, "permission_denied", user.pk)


def test_unknown_path():
    assert_problem(anonymous().get("/api/v1/nowhere/"), 404, "not_found")


def test_no_html_in_debug_mode(settings):
    settings.DEBUG = True
    assert_problem(anonymous().get("/api/v1/nowhere/"), 404, "not_found")
    assert_problem(anonymous().get("/api/v1/try/plain/bug/"), 500, "internal_error")


def test_html_answers_keep_their_headers():
    response = anonymous().get("/api/v1/try/html/")
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "POST"


def test_unknown_host():
    assert_problem(anonymous().get("/api/v1/health", headers={"Host": "evil"}), 400, "invalid")


def test_method_not_allowed():
    response = anonymous().get("/api/v1/try/echo/")
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "POST, OPTIONS"
    assert_problem(anonymous().options("/api/v1/try/echo/"), 405, "method_not_allowed")


def test_not_acceptable():
    response = signed_in(make_person()).get("/api/v1/try/staff/", headers={"Accept": "text/csv"})
    assert_problem(response, 406, "not_acceptable")


def test_unsupported_media_type():
    response = anonymous().post("/api/v1/try/echo/", "a=1", "application/x-www-form-urlencoded")
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/api/v1/try/alerts/?code=a%00b", "/api/v1/try/fail/a%00b/"])
def test_nul_in_an_address(path):
    assert_problem(signed_in(make_person()).get(path), 400, "invalid")


def test_errors_are_flattened_by_path():
    detail = {
        "items": [{}, {"quantity": [ErrorDetail("Too few.")]}, {"non_field_errors": ["Odd."]}],
        "name": "Missing.",
        "non_field_errors": ["Both."],
    }
    assert problems.flatten(detail) == {
        "items.1.quantity": ["Too few."],
        "items.2": ["Odd."],
        "name": ["Missing."],
        "non_field_errors": ["Both."],
    }
    assert problems.flatten(["One.", "Two."]) == {"non_field_errors": ["One.", "Two."]}


def post(body, path="echo"):
    return anonymous().post(f"/api/v1/try/{path}/", body, JSON)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe{}",
        b"[]",
        b"3",
        b"null",
        b'{"text": NaN}',
        b'{"text": Infinity}',
        b'{"text": "a\\u0000b"}',
        b'{"a\\u0000b": 1}',
        b'{"text": "\\ud800"}',
        b'{"text": 1e99999999999999999999}',
        b'{"text": ' + b"9" * 5000 + b"}",
        b'{"text": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_malformed_bodies(body):
    status = post(body).status_code
    assert status == 400
    assert post(body, "raw").status_code == (200 if body == b"" else 400)


def test_list_only_where_the_view_takes_one():
    assert_problem(post(b"[1]", "raw"), 400, "parse_error")
    assert post(b"[1]", "listing").json() == {"seen": "[1]"}


def test_body_of_unknown_length():
    client = anonymous(headers={"Transfer-Encoding": "chunked"})
    response = client.generic("POST", "/api/v1/try/echo/", CONTENT_TYPE=JSON)
    assert_problem(response, 411, "length_required")


def test_body_too_large(settings):
    text = b'{"text": "%s"}' % (b"a" * settings.API_BODY_MAX_BYTES)
    assert_problem(post(text), 413, "content_too_large")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 5),
        ("text", True),
        ("text", "x" * 21),
        ("text", "   "),
        ("number", 2**63),
        ("number", -(2**63) - 1),
        ("number", "5"),
        ("number", 5.0),
        ("number", True),
        ("record_id", 0),
        ("amount", "1.005"),
        ("amount", 1.005),
        ("amount", "1_000"),
        ("amount", "१२"),
        ("amount", "1e3"),
        ("amount", "NaN"),
        ("amount", True),
        ("amount", 10**10),
        ("amount", "9" * 100_000),
        ("at", "yesterday"),
        ("at", 5),
        ("lines", [{"quantity": 0}]),
        ("lines", [7]),
        ("lines", {"0": 1}),
    ],
)
def test_refuses_values_of_the_wrong_form(field, value):
    document = assert_problem(post({"text": "a", field: value}), 400, "invalid")
    assert [name.split(".")[0] for name in document["errors"]] == [field]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("text", "  नमस्ते ", "नमस्ते"),
        ("number", 2**63 - 1, 2**63 - 1),
        ("amount", 1250, "1250.00"),
        ("amount", "1250.5", "1250.50"),
        ("amount", 0.1, "0.10"),
        ("amount", "-3.00", "-3.00"),
        ("at", "2026-04-14T00:00:00+05:45", "2026-04-13T18:15:00.000000Z"),
        ("at", "2026-04-14T00:00:00", "2026-04-14T00:00:00.000000Z"),
    ],
)
def test_reads_and_writes_exact_values(field, value, shown):
    assert post({"text": "a", field: value}).json()[field] == shown
