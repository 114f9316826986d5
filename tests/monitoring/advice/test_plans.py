"""Plans by queryid: of what the application and others ran, and of nothing else."""

from contextlib import suppress

import pytest
from django.db import connection, connections
from django.template.loader import render_to_string

from khaacho import sql
from monitoring.advice import plans, statements
from monitoring.advice.planning import CannotPlan, planning
from monitoring.advice.statements import NoStatement
from tests.monitoring.advice.conftest import SECRET, run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def nodes(plan):
    yield plan
    for child in plan.children:
        yield from nodes(child)


def texts(plan):
    return " ".join(
        [plan.node, plan.relation, plan.index, *(badge.text for badge in plan.badges)]
        + [text for _, text in plan.conditions]
        + [texts(child) for child in plan.children]
    )


def test_a_tree_with_shares_of_the_cost(ran):
    plan = plans.explain(
        ran(
            "SELECT s.total FROM bazaar.customers c JOIN bazaar.sales s ON s.customer_id = c.id WHERE c.name = 'c5'"
        )
    )
    found = list(nodes(plan))
    assert {each.relation for each in found if each.relation} == {
        "bazaar.customers",
        "bazaar.sales",
    }
    assert sum(each.share for each in found) == pytest.approx(1)
    scan = max(found, key=lambda each: each.share)
    assert (scan.relation, scan.node.removeprefix("Parallel ")) == ("bazaar.sales", "Seq Scan")
    assert "reads the whole table" in [badge.text for badge in scan.badges]
    assert scan.rows > 1000
    # As the statement is kept: with its parameter, or as it was written (its entry went between its
    # parsing and its end, as the server made room), and then the page hides the value.
    conditions = [text for node in found for label, text in node.conditions if label == "Filter"]
    assert conditions in (["(c.name = $1)"], ["(c.name = '…'::text)"])


def test_nothing_is_run(ran):
    queryid = ran("UPDATE bazaar.small SET a = a + 1 WHERE id = 7")
    before = sql.fetch("SELECT a FROM bazaar.small WHERE id = 7")
    plan = plans.explain(queryid)
    assert plan.node == "Update"
    assert sql.fetch("SELECT a FROM bazaar.small WHERE id = 7") == before


def test_planning_is_not_measured(ran):
    statement = "SELECT note FROM bazaar.sales WHERE customer_id = 3 ORDER BY placed_at LIMIT 4"
    queryid = ran(statement, 3)
    for _ in range(4):
        plans.explain(queryid)
    with planning() as planner:
        assert statements.measured(planner, [queryid])[queryid][0] == 3
    assert sql.fetch(
        "SELECT count(DISTINCT queryid) FROM monitor.statements(true)"
        " WHERE query LIKE 'SELECT note FROM bazaar.sales WHERE customer_id%%'"
    ) == [(1,)]


def test_limit_is_planned_as_what_a_call_returned(ran):
    plan = plans.explain(ran("SELECT id FROM bazaar.sales ORDER BY id LIMIT 13"))
    assert (plan.node, plan.rows) == ("Limit", 13)


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT "Select" FROM bazaar."Odd ""Table" WHERE "Mixed Case" = 4',
        "SELECT shop FROM bazaar.parted WHERE shop = 3",
        "SELECT total FROM bazaar.open_sales WHERE customer_id = 4",
        "WITH few AS MATERIALIZED (SELECT id FROM bazaar.small WHERE a = 3) SELECT count(*) FROM few",
        "SELECT extract(year FROM placed_at) FROM bazaar.sales WHERE id = 1",
        "SELECT id FROM bazaar.sales WHERE id = 2 AND placed_at > now() - interval '3 days'",
        "INSERT INTO bazaar.small VALUES (900, 1)",
        "DELETE FROM bazaar.small WHERE id = 900",
        "MERGE INTO bazaar.small s USING bazaar.customers n ON s.id = n.id WHEN MATCHED THEN DO NOTHING",
    ],
)
def test_kinds_of_statements(ran, statement):
    plan = plans.explain(ran(statement))
    assert plan.cost > 0
    html = render_to_string("monitoring/plan_tree.html", {"plan": plan})
    assert html.count("<strong>") == len(list(nodes(plan)))


def test_refuses_what_is_gone(ran):
    sql.execute("CREATE TABLE bazaar.gone (id int)")
    queryid = ran("SELECT id FROM bazaar.gone")
    sql.execute("DROP TABLE bazaar.gone")
    with pytest.raises(CannotPlan, match="no longer there"):
        plans.explain(queryid)


def test_refuses_parameters_without_a_type(ran):
    queryid = ran(
        "MERGE INTO bazaar.small s USING (SELECT 1 AS id) m ON s.id = m.id WHEN MATCHED THEN DO NOTHING"
    )
    with pytest.raises(CannotPlan, match="types of its parameters cannot be told"):
        plans.explain(queryid)


def test_refuses_utility_statements(bazaar):
    run("ANALYZE bazaar.small")
    [(queryid,)] = sql.fetch(
        "SELECT queryid FROM monitor.statements(true) WHERE query = 'ANALYZE bazaar.small'"
    )
    with pytest.raises(CannotPlan, match="Only SELECT"):
        plans.explain(queryid)


def test_what_postgresql_says_of_data_is_never_shown(ran):
    """Planning folds the function, which fails with the row's word in its message."""
    sql.execute(
        "CREATE OR REPLACE FUNCTION bazaar.mild() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"
    )
    queryid = ran("SELECT a FROM bazaar.small WHERE a = bazaar.mild()")
    sql.execute(
        "CREATE OR REPLACE FUNCTION bazaar.mild() RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " 'BEGIN RETURN bazaar.blurt(); END'"
    )
    with pytest.raises(CannotPlan) as caught:
        plans.explain(queryid)
    error = caught.value
    assert str(error) == "PostgreSQL refuses to plan it."
    assert SECRET not in repr((error, error.__cause__, error.__context__, error.extra))


def test_constants_that_were_folded_from_rows_are_masked(ran):
    shown = texts(
        plans.explain(ran("SELECT name FROM bazaar.customers WHERE name = bazaar.leak()"))
    )
    assert SECRET not in shown
    assert "customers.name = '…'" in shown


def test_constants_of_the_schema_are_shown(ran):
    plan = plans.explain(ran("SELECT note FROM bazaar.open_sales WHERE total = 4"))
    assert "'OPEN'" in texts(plan)


@pytest.mark.parametrize("queryid", [0, 1, -1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**40])
def test_unknown_numbers(bazaar, queryid):
    with pytest.raises(NoStatement):
        plans.explain(queryid)


def test_statements_of_other_databases_are_unknown(ran):
    queryid = ran("SELECT district FROM bazaar.customers WHERE id = 77")
    other = connection.settings_dict["NAME"].split("_advice")[0]
    copies = [connections["monitor"].settings_dict, connection.settings_dict]
    names = [each["NAME"] for each in copies]
    try:
        for each in copies:
            each["NAME"] = other
        with pytest.raises(NoStatement):
            plans.explain(queryid)
    finally:
        for each, name in zip(copies, names, strict=True):
            each["NAME"] = name


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DROP TABLE bazaar.small",
        "SELECT 1; COMMIT; DROP TABLE bazaar.small",
        "SELECT 'a' /* ' */; DROP TABLE bazaar.small --",
        "SELECT 1 UNION SELECT",
        "SELECT a FROM bazaar.small WHERE a = $1 AND nothing",
        "EXPLAIN ANALYZE DELETE FROM bazaar.small",
        "DO $$ BEGIN DROP TABLE bazaar.small; END $$",
        "VACUUM bazaar.small",
        "",
        ";",
        "SELECT",
        "WITH x AS (DELETE FROM bazaar.small RETURNING id) SELECT count(*) FROM x",
    ],
)
def test_no_text_does_anything(bazaar, text):
    """Even were a text in the statistics made up by somebody."""
    count = sql.fetch("SELECT count(*) FROM bazaar.small")
    with planning() as planner:
        with suppress(CannotPlan):
            planner.plan(text)
        assert planner.fetch("SELECT 1") == [(1,)]
    assert sql.fetch("SELECT count(*) FROM bazaar.small") == count


def test_a_locked_table_is_waited_for_no_longer_than_300_ms(ran):
    queryid = ran("SELECT a FROM bazaar.small WHERE id = 3")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE bazaar.small")
        with pytest.raises(CannotPlan, match="locked just now"):
            plans.explain(queryid)
    finally:
        other.close()


def test_the_session_writes_nothing(bazaar):
    with pytest.raises(CannotPlan), planning() as planner:
        planner.fetch("DELETE FROM bazaar.small RETURNING id")
    assert sql.fetch("SELECT count(*) > 0 FROM bazaar.small") == [(True,)]
