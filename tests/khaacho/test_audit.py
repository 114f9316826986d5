"""Whoever edits a row, and however, there is an entry; and entries stay as they are."""

import datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from khaacho import audit
from khaacho.actors import SYSTEM, Actor, act
from khaacho.enums import Role
from khaacho.models import AuditLog, User

pytestmark = pytest.mark.django_db


def make_user(number: int = 1, name: str = "Sita") -> User:
    return User.objects.create_user(f"+977980000000{number}", name=name, role=Role.OPERATOR)


def entries(user: User) -> list[tuple]:
    rows = AuditLog.objects.filter(entity_type="user", entity_id=user.pk).order_by("pk")
    return list(rows.values_list("action", "old_values", "new_values"))


def save(user: User) -> None:
    user.name = "Gita"
    user.save()


def update(user: User) -> None:
    User.objects.filter(pk=user.pk).update(name="Gita")


def update_in_bulk(user: User) -> None:
    user.name = "Gita"
    User.objects.bulk_update([user], ["name"])


def update_in_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE users SET name = 'Gita' WHERE id = %s", [user.pk])


def database_role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("edit", [save, update, update_in_bulk, update_in_sql])
def test_edit_leaves_what_it_changed_and_who_did_it(edit):
    user, editor = make_user(), make_user(2)
    act(Actor(user_id=editor.pk, role=Role.OPERATOR), "she married")
    edit(user)
    assert entries(user)[1:] == [("user.updated", {"name": "Sita"}, {"name": "Gita"})]
    entry = AuditLog.objects.filter(entity_id=user.pk).latest("pk")
    assert (entry.user_id, entry.reason, entry.database_user) == (
        editor.pk,
        "she married",
        database_role(),
    )


def test_creation_and_deletion_leave_the_row_without_its_secrets():
    user = make_user()
    pk = user.pk
    User.objects.filter(pk=pk).delete()
    user.pk = pk
    (created, old, new), (deleted, last, nothing) = entries(user)
    assert (created, deleted, old, nothing) == ("user.created", "user.deleted", {}, {})
    assert new == last
    assert (new["name"], new["phone"], "password" in new, "last_login" in new) == (
        "Sita",
        "+9779800000001",
        False,
        False,
    )


def test_edit_of_many_rows_leaves_one_entry_each():
    users = [make_user(i) for i in range(3)]
    User.objects.update(name="Gita")
    assert [len(entries(user)) for user in users] == [2, 2, 2]


def test_edit_that_changes_nothing_or_only_secrets_leaves_nothing():
    user = make_user()
    User.objects.filter(pk=user.pk).update(name="Sita")
    User.objects.filter(pk=user.pk).update(password="x")
    assert len(entries(user)) == 1


def test_system_and_plain_sql_are_nobody():
    user = make_user()
    update_in_sql(user)
    act(SYSTEM)
    User.objects.filter(pk=user.pk).update(name="Rita")
    assert set(AuditLog.objects.values_list("user_id", flat=True)) == {None}


def test_record_writes_an_act_with_amounts_and_days_as_text():
    user = make_user()
    audit.record(
        Actor(user_id=user.pk, role=Role.OPERATOR),
        "order.paid",
        entity_type="order",
        entity_id=42,
        reason="y" * 600,
        amount=Decimal("10.50"),
        day=datetime.date(2026, 7, 1),
        lines=2,
    )
    entry = AuditLog.objects.get(entity_type="order")
    assert (entry.user_id, entry.action, entry.entity_id) == (user.pk, "order.paid", 42)
    assert entry.new_values == {"amount": "10.50", "day": "2026-07-01", "lines": 2}
    assert entry.reason == "y" * 500


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET reason = 'nobody'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "TRUNCATE users CASCADE",
    ],
)
def test_entries_cannot_be_edited_or_removed(statement):
    make_user()
    # Of the tables that a cascade reaches, PostgreSQL asks them in no order of ours.
    refusing = "audit_logs" if "audit_logs" in statement else r"\w+"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else TRUNCATE waits for the foreign key
    with (
        pytest.raises(IntegrityError, match=f"{refusing} is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditLog.objects.count() == 1
