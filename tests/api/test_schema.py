"""The OpenAPI document and the API agree: generated requests get documented answers, and no 500."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.clients import bearer
from tests.api.trade import fresh_key
from tests.api.world import World, standing_world

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])

EXAMPLES = 4
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROLES = ["operator", "retailer_a", "vendor_a"]


def document() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return generated


SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if hasattr(found, "ok")
}


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with standing_world(django_db_blocker) as made:
        yield made


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep requests on the test's connection, as Django's own test client does."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def aim(case: Any, world: World, turn: int) -> None:
    """Let most requests be about records that exist, and carry a key of their own."""
    if turn % 4:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = world.ids.get(name, 1)
    if turn % 3 and case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = fresh_key()
    if turn % 2 and isinstance(case.body, dict):
        known = {**world.ids, "retailer_id": world.people["retailer_a"].retailer.pk}
        case.body |= {name: known[name] for name in case.body if name in known}


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_answers_are_as_documented(world, label):
    callers = [{"Authorization": bearer(world.people[role])} for role in ROLES]
    app = WSGIHandler()
    turns = iter(range(10_000))

    def check(case: Any) -> None:
        aim(case, world, next(turns))
        for headers in callers:
            with transaction.atomic():
                response = case.call(headers=headers, app=app)
                transaction.set_rollback(True)
            case.validate_response(response, checks=CHECKS)

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        strategy = OPERATIONS[label].as_strategy(generation_mode=mode)
        bounded = settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        with contextlib.suppress(
            Unsatisfiable
        ):  # an operation that takes nothing has no wrong input
            bounded(given(strategy)(check))()
    assert next(turns) >= EXAMPLES or "health" in label


def test_the_document_is_valid_openapi_3_1():
    schema = document()
    assert schema["openapi"] == "3.1.0"
    validate_schema(schema)


def test_every_operation_documents_its_problems():
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert {"400", "429", "503"} <= answers.keys(), (method, path)
            problems = [answer for status, answer in answers.items() if status[0] in "45"]
            assert any("application/problem+json" in p.get("content", {}) for p in problems)


def test_the_contract_is_in_the_document():
    schema = document()
    order = schema["components"]["schemas"]["Order"]["properties"]
    wanted = (
        "id order_number status payment_status vendor_id subtotal tax_amount total due_amount items"
        " created_at"
    )
    assert set(wanted.split()) <= order.keys()
    assert "/api/v1/orders/{order_id}/out_for_delivery/" in schema["paths"]
    key = next(
        parameter
        for parameter in schema["paths"]["/api/v1/orders/"]["post"]["parameters"]
        if parameter["name"] == "Idempotency-Key"
    )
    assert key["required"] is True
