"""Clients of the API, signed in or not, and users made without any app above the bottom layer."""

from itertools import count
from typing import Any

from django.test import Client
from django.utils import timezone

from khaacho import tokens
from khaacho.enums import Role
from khaacho.models import User
from khaacho.tenants import actor_of

PASSWORD = "correct horse battery"
JSON = "application/json"
PROBLEM = "application/problem+json"
_numbers = count(1)


def make_person(role: Role = Role.OPERATOR, **fields: Any) -> User:
    phone = f"+97797{next(_numbers):08d}"
    return User.objects.create_user(phone, PASSWORD, **{"name": "Sita", "role": role, **fields})


def bearer(user: User) -> str:
    return f"Bearer {tokens.access_token(actor_of(user), now=timezone.now())}"


def anonymous(**options: Any) -> Client:
    return Client(raise_request_exception=False, **options)


def signed_in(user: User) -> Client:
    return anonymous(headers={"Authorization": bearer(user)})


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert the whole form of a problem document and return it."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    document = response.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"] == f"urn:khaacho:problem:{code}"
    assert document["request_id"] == response["X-Request-ID"]
    assert document["title"]
    assert document["detail"]
    assert isinstance(document["errors"], dict)
    return document
