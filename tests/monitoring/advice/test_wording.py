"""Lines to paste: they mean the index that was proposed, under a name as the house gives them."""

import pytest
from django.db import connection, models

from monitoring.advice.candidates import Candidate
from monitoring.advice.conditions import Constant, Key
from monitoring.advice.wording import NAME_MAX, model_of, worded

pytestmark = pytest.mark.django_db

ORDERS = ("public", "orders")
CANDIDATES = [
    (
        Candidate(ORDERS, (Key("retailer_id"), Key("accepted_at", True))),
        'models.Index(fields=["retailer", "-accepted_at"], name="order_retailer_accepted_idx")',
    ),
    (
        Candidate(ORDERS, (Key("source"),), ("total",), (Constant("due_date", "null"),)),
        (
            'models.Index(fields=["source"], include=["total"], condition=models.Q(due_date__isnull=True),'
            ' name="order_source_idx")'
        ),
    ),
    (
        Candidate(
            ORDERS,
            (Key("notes"),),
            (),
            (Constant("status", "equal", "'it''s'"), Constant("vendor_named", "false")),
        ),
        (
            'models.Index(fields=["notes"], condition=models.Q(status="it\'s") & models.Q(vendor_named=False),'
            ' name="order_notes_idx")'
        ),
    ),
    (
        Candidate(ORDERS, (Key("due_date", True, "LAST"), Key("id"))),
        (
            'models.Index(models.F("due_date").desc(nulls_last=True), models.F("id").asc(),'
            ' name="order_due_date_id_idx")'
        ),
    ),
]


@pytest.mark.parametrize(("candidate", "line"), CANDIDATES, ids=lambda each: str(each)[:40])
def test_the_line_makes_the_index_that_the_sql_makes(candidate, line):
    said = worded(candidate)
    assert said.line == line
    model = model_of(candidate.table)
    index = eval(said.line, {"models": models})
    definitions = []
    with connection.cursor() as cursor:
        for statement in (
            said.sql.replace("CONCURRENTLY ", ""),
            str(index.create_sql(model, connection.schema_editor())),
        ):
            cursor.execute(statement)
            cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [said.name])
            definitions += cursor.fetchone()
            cursor.execute(f"DROP INDEX {said.name}")
    assert definitions[0] == definitions[1]


def test_the_migration_runs():
    said = worded(CANDIDATES[0][0])
    scope = {}
    exec(said.migration, scope)
    migration = scope["Migration"]
    assert migration.atomic is False
    [(app, latest)] = migration.dependencies
    [operation] = migration.operations
    assert (app, operation.model_name, operation.index.name) == ("orders", "order", said.name)
    assert (latest[:4].isdigit(), type(operation).__name__) == (True, "AddIndexConcurrently")


def test_names_are_short_and_new():
    long = Candidate(ORDERS, tuple(Key(c) for c in ("out_for_delivery_at", "platform_exposure")))
    assert worded(long).name == "order_out_for_delivery_idx"
    assert len(worded(long).name) <= NAME_MAX
    taken = Candidate(ORDERS, (Key("created_at"),))  # order_created_idx is there
    assert worded(taken).name == "order_created_2_idx"


def test_a_table_without_a_model_has_only_sql():
    said = worded(Candidate(("odd", 'A"b'), (Key("Select"),)))
    assert (said.model, said.line, said.migration) == ("", "", "")
    assert said.sql == 'CREATE INDEX CONCURRENTLY a_b_select_idx ON odd."A""b" ("Select");'
