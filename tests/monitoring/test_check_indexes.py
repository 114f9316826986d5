"""check_indexes: the database as it is migrated has no fault, and each kind of fault is found."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from khaacho import sql
from khaacho.models import User
from monitoring import indexes
from monitoring.indexes import Finding, Kind
from tests.plans.named import NEEDED

pytestmark = pytest.mark.django_db

QUIET = (Kind.UNUSED,)


def found() -> list[tuple[Kind, str]]:
    """Findings but the unused: nothing has been used yet."""
    return [(f.kind, f.index) for f in indexes.report().findings if f.kind not in QUIET]


def detail(kind: Kind) -> str:
    [finding] = [f for f in indexes.report().findings if f.kind == kind]
    return finding.detail


def checked(*arguments: str) -> str:
    out = StringIO()
    call_command("check_indexes", *arguments, stdout=out)
    return out.getvalue()


def test_each_of_the_27_is_there_as_designed():
    present = {index.name: index.definition for index in indexes.report().indexes}

    wrong = {
        name: present.get(name, "missing")
        for name, wanted in NEEDED.items()
        if not present.get(name, "").startswith(f" USING {wanted}")
    }

    assert len(NEEDED) == 27
    assert wrong == {}


def test_a_migrated_database_has_no_fault():
    assert found() == []
    assert "indexes, " in checked()


def test_looking_changes_nothing():
    before = sql.fetch("SELECT oid FROM pg_class ORDER BY oid")
    path = sql.fetch("SHOW search_path")

    indexes.report()

    assert sql.fetch("SELECT oid FROM pg_class ORDER BY oid") == before
    assert sql.fetch("SHOW search_path") == path


def test_a_dropped_index_is_missing():
    sql.execute("DROP INDEX order_list_covering_idx")

    assert found() == [(Kind.MISSING, "order_list_covering_idx")]
    assert "INCLUDE (order_number, status, payment_status, total, due_amount)" in detail(
        Kind.MISSING
    )


def test_a_dropped_unique_constraint_is_missing():
    sql.execute("ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_key_per_caller")

    assert found() == [(Kind.MISSING, "idempotency_key_per_caller")]


def test_an_index_under_another_name_is_not_missing():
    sql.execute("ALTER INDEX order_created_idx RENAME TO old_name_idx")

    assert found() == []


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param("(created_at) WHERE status NOT IN ('COMPLETED', 'CANCELLED')", id="order"),
        pytest.param("(id DESC) WHERE status NOT IN ('COMPLETED', 'CANCELLED')", id="column"),
        pytest.param(
            "(created_at DESC) INCLUDE (id) WHERE status NOT IN ('COMPLETED', 'CANCELLED')",
            id="include",
        ),
        pytest.param(
            "(created_at DESC) WHERE status NOT IN ('completed', 'cancelled')", id="condition"
        ),
    ],
)
def test_an_index_with_another_definition_is_found(definition):
    sql.execute("DROP INDEX order_active_idx")
    sql.execute(f"CREATE INDEX order_active_idx ON orders {definition}")

    assert found() == [(Kind.DIFFERENT, "order_active_idx")]


def test_a_restored_index_is_not_different():
    """A dump writes the casts of a list otherwise than the migration did."""
    [(text,)] = sql.fetch("SELECT pg_get_indexdef('order_active_idx'::regclass)")
    sql.execute("DROP INDEX order_active_idx")
    sql.execute(text)

    assert sql.fetch("SELECT pg_get_indexdef('order_active_idx'::regclass)") != [(text,)]
    assert found() == []


@pytest.mark.parametrize("name", ["a_second_idx", "z_second_idx"])
def test_a_second_index_of_the_same_columns_is_found(name):
    sql.execute(f"CREATE INDEX {name} ON orders (created_at DESC)")

    assert found() == [(Kind.DUPLICATE, name)]
    assert detail(Kind.DUPLICATE) == "the same as order_created_idx"


def test_an_index_of_what_a_unique_one_serves_is_found():
    sql.execute("CREATE INDEX a_first_idx ON credit_accounts (retailer_id, vendor_id)")

    assert (Kind.DUPLICATE, "a_first_idx") in found()


def test_the_beginning_of_another_index_is_found():
    sql.execute("CREATE INDEX short_idx ON orders (retailer_id, status)")

    assert found() == [(Kind.UNDECLARED, "short_idx"), (Kind.PREFIX, "short_idx")]
    assert detail(Kind.PREFIX) == "the beginning of order_retailer_status_idx"


def test_a_condition_of_its_own_is_not_the_beginning_of_another():
    sql.execute("CREATE INDEX part_idx ON orders (retailer_id) WHERE total > 1000")

    assert found() == [(Kind.UNDECLARED, "part_idx")]


@pytest.mark.django_db(transaction=True)
def test_a_failed_concurrent_build_is_found():
    for phone in ("+9779841000001", "+9779841000002"):
        User.objects.create_user(phone, name="Sita", role="RETAILER")
    with pytest.raises(IntegrityError):
        sql.execute("CREATE UNIQUE INDEX CONCURRENTLY broken_idx ON users (name)")
    try:
        assert found() == [(Kind.UNDECLARED, "broken_idx"), (Kind.INVALID, "broken_idx")]
    finally:
        sql.execute("DROP INDEX broken_idx")


def test_faults_end_with_an_error_and_are_named():
    sql.execute("DROP INDEX order_created_idx")
    out = StringIO()

    with pytest.raises(CommandError, match=r"1 of \d+ indexes are at fault"):
        call_command("check_indexes", stdout=out)

    assert "MISSING: orders.order_created_idx:  USING btree (created_at DESC)" in out.getvalue()


def test_only_faults_are_printed_when_quiet():
    assert checked("-v0").strip() == ""
    sql.execute("DROP INDEX order_created_idx")
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("check_indexes", "-v0", stdout=out)

    assert out.getvalue() == "MISSING: orders.order_created_idx:  USING btree (created_at DESC)\n"


def test_unused_and_undeclared_indexes_are_named_without_an_error():
    sql.execute("CREATE INDEX own_idx ON orders (total) WHERE total > 1000")

    said = checked()

    assert "UNDECLARED: orders.own_idx" in said
    assert "UNUSED: orders.own_idx" in said
    assert "scans are counted since" in said


def test_the_report_as_json():
    report = json.loads(checked("--json"))

    [index] = [index for index in report["indexes"] if index["name"] == "order_created_idx"]
    assert (index["table"], index["is_valid"], index["is_unique"]) == ("orders", True, False)
    assert index["size"] >= 8192
    assert set(index) >= {"scans", "last_scan", "definition"}
    assert {f["kind"] for f in report["findings"]} <= {kind.value for kind in QUIET}


def test_faults_are_those_that_a_migration_mends():
    kinds = {kind: Finding(kind, "orders", "x", "").is_fault for kind in Kind}

    assert [kind for kind, is_fault in kinds.items() if not is_fault] == [
        Kind.UNDECLARED,
        Kind.UNUSED,
    ]


def test_last_scans_are_asked_for_where_the_server_remembers_them():
    sql.execute("SET LOCAL enable_seqscan = off")
    sql.fetch("SELECT FROM users WHERE phone = '+9779841000001'")

    [index] = [i for i in indexes.report().indexes if i.name == "users_phone_key"]

    assert indexes.remembers_last_scans() or index.last_scan is None
