"""The database knows who acts, for one transaction, and that the actor is still active."""

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError

from khaacho.actors import SYSTEM, Actor, act, require_staff, require_tenant
from khaacho.enums import Role
from khaacho.exceptions import AccountInactive, Forbidden
from khaacho.models import User

OPERATOR = Actor(user_id=1, role=Role.OPERATOR)
RETAILER = Actor(user_id=2, role=Role.RETAILER, retailer_id=20)
VENDOR = Actor(user_id=3, role=Role.VENDOR, vendor_id=30)


def make_actor(**fields) -> Actor:
    user = User.objects.create_user("+9779800000009", name="Sita", role=Role.OPERATOR, **fields)
    return Actor(user_id=user.pk, role=Role.OPERATOR)


def named() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('khaacho.actor', true), ''),"
            " coalesce(current_setting('khaacho.reason', true), '')"
        )
        return cursor.fetchone()


@pytest.mark.django_db(transaction=True)
def test_names_the_actor_for_this_transaction_only():
    actor = make_actor()
    with transaction.atomic():
        act(actor, "stock-taking")
        assert named() == (str(actor.user_id), "stock-taking")
    assert named() == ("", "")


@pytest.mark.django_db(transaction=True)
def test_is_forgotten_with_a_rollback_to_a_savepoint():
    actor = make_actor()
    with transaction.atomic():
        with transaction.atomic():
            act(actor)
            transaction.set_rollback(True)
        assert named() == ("", "")


@pytest.mark.django_db
def test_names_the_system_and_cuts_a_long_reason(django_assert_num_queries):
    with django_assert_num_queries(1):
        act(SYSTEM, "x" * 600)
    assert named() == ("", "x" * 500)


@pytest.mark.django_db
@pytest.mark.parametrize("fields", [{"is_active": False}, {"deleted_at": Now()}])
def test_refuses_a_user_who_is_no_longer_active(fields):
    with pytest.raises(AccountInactive):
        act(make_actor(**fields))


@pytest.mark.django_db
def test_refuses_a_user_who_does_not_exist():
    with pytest.raises(AccountInactive):
        act(Actor(user_id=10**9, role=Role.ADMIN))


@pytest.mark.django_db(transaction=True)
def test_refuses_outside_a_transaction():
    with pytest.raises(TransactionManagementError):
        act(SYSTEM)


def test_staff_are_employees_and_the_system():
    for actor in (SYSTEM, OPERATOR, Actor(user_id=1, role=Role.ADMIN)):
        require_staff(actor)
    for actor in (RETAILER, VENDOR):
        with pytest.raises(Forbidden):
            require_staff(actor)


@pytest.mark.parametrize("actor", [SYSTEM, OPERATOR, RETAILER])
def test_tenant_is_the_one_named_or_staff(actor):
    require_tenant(actor, retailer_id=20)


@pytest.mark.parametrize(
    ("actor", "tenant"),
    [
        (RETAILER, {"retailer_id": 21}),
        (RETAILER, {"vendor_id": 20}),
        (RETAILER, {}),
        (VENDOR, {"retailer_id": 30}),
        (VENDOR, {"retailer_id": None, "vendor_id": None}),
    ],
)
def test_tenant_refuses_everybody_else(actor, tenant):
    with pytest.raises(Forbidden):
        require_tenant(actor, **tenant)
