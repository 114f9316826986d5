"""What a plan wants of a table, read from the conditions as PostgreSQL writes them."""

import pytest

from monitoring.advice import conditions
from monitoring.advice.conditions import Constant, Key


def wish_of(**node):
    scan = {
        "Node Type": "Seq Scan",
        "Schema": "public",
        "Relation Name": "t",
        "Alias": "o",
        "Output": ["o.a"],
        **node,
    }
    return conditions.wishes(scan)["o"]


@pytest.mark.parametrize(
    ("condition", "equal", "ranges", "either"),
    [
        ("(o.a = $1)", {"a"}, set(), set()),
        ("($1 = o.a)", {"a"}, set(), set()),
        ("((o.a)::text = $1)", {"a"}, set(), set()),
        ("((o.a = $1) AND (o.b > $2) AND (o.b <= now()))", {"a"}, {"b"}, set()),
        ("(o.a = ANY ($1))", {"a"}, set(), set()),
        ('((o."A ""b" = $1) AND (o."Select" < 3))', {'A "b'}, {"Select"}, set()),
        ("((o.a = $1) OR (o.b = $2))", set(), set(), {"a", "b"}),
        # no index on the bare column serves these
        ("((o.a)::date = $1)", set(), set(), set()),
        ("(lower((o.a)::text) = $1)", set(), set(), set()),
        ("((o.a + 1) = $1)", set(), set(), set()),
        ("(o.a <> $1)", set(), set(), set()),
        ("(o.a <> ALL ($1))", set(), set(), set()),
        ("(o.a = o.b)", set(), set(), set()),
        ("((o.a)::text ~~ $1)", set(), set(), set()),
        ("(o.a = 'x) AND (o.z = 1'::text)", {"a"}, set(), set()),
    ],
)
def test_comparisons(condition, equal, ranges, either):
    wish = wish_of(Filter=condition)
    assert (wish.equal, wish.ranges, wish.either) == (equal, ranges, either)


@pytest.mark.parametrize(
    ("condition", "constant"),
    [
        ("(o.a IS NULL)", Constant("a", "null")),
        ("(o.a IS NOT NULL)", Constant("a", "not null")),
        ("o.a", Constant("a", "true")),
        ("(NOT o.a)", Constant("a", "false")),
        ("((o.a)::text = 'OPEN'::text)", Constant("a", "equal", "'OPEN'")),
        ("(o.a = 5)", Constant("a", "equal", "5")),
    ],
)
def test_constants(condition, constant):
    assert wish_of(Filter=f"({condition} AND (o.b = $1))").constants == {constant}


def test_a_condition_above_a_join_is_no_constant():
    join = {
        "Node Type": "Hash Join",
        "Hash Cond": "(o.b = p.id)",
        "Filter": "(o.a IS NULL)",
        "Plans": [
            {"Node Type": "Seq Scan", "Schema": "s", "Relation Name": n, "Alias": n} for n in "op"
        ],
    }
    found = conditions.wishes(join)
    assert found["o"].constants == set()
    assert (found["o"].equal, found["p"].equal) == ({"b"}, {"id"})


def test_order_is_wanted_only_below_a_limit():
    scan = {"Node Type": "Seq Scan", "Schema": "s", "Relation Name": "t", "Alias": "o"}
    sort = {"Node Type": "Sort", "Sort Key": ["o.a DESC", "o.b DESC NULLS LAST"], "Plans": [scan]}
    assert conditions.wishes(sort)["o"].order == ()
    limit = {"Node Type": "Limit", "Plans": [sort]}
    assert conditions.wishes(limit)["o"].order == (Key("a", True), Key("b", True, "LAST"))
    sort["Sort Key"] = ["lower(o.a)"]
    assert conditions.wishes(limit)["o"].order == ()


def test_columns_that_must_be_read():
    assert wish_of(Filter="(o.b = $1)", Output=["o.a", "(o.c + 1)"]).read == {"a", "b", "c"}
    scan = {
        "Node Type": "Seq Scan",
        "Schema": "s",
        "Relation Name": "t",
        "Alias": "o",
        "Output": ["o.a", "o.b", "o.c"],
    }
    counted = {"Node Type": "Aggregate", "Output": ["count(o.a)"], "Plans": [scan]}
    assert conditions.wishes(counted)["o"].read == {"a"}
    written = {"Node Type": "ModifyTable", "Plans": [scan]}
    assert conditions.wishes(written)["o"].read is None
