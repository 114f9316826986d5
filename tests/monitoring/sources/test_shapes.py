"""A statement has one fingerprint, whether Django or PostgreSQL tells it."""

import pytest

from monitoring.sources.shapes import fingerprint, normalised, shortened

SAME = {
    "an ORM's select": (
        'SELECT "orders"."id" FROM "orders" WHERE ("orders"."status" = %s AND NOT "orders"."paid") LIMIT 21',
        'SELECT "orders"."id" FROM "orders" WHERE ("orders"."status" = $1 AND NOT "orders"."paid") LIMIT $2',
    ),
    "casts that psycopg puts": (
        "SELECT 1 FROM t WHERE a > %s AND b = ANY(%s) AND c = %(name)s",
        "SELECT $1 FROM t WHERE a > $2::timestamptz AND b = ANY($3::int8[]) AND c = $4::jsonb::json",
    ),
    "a cast of both": ("SELECT %s::jsonb", "SELECT $1::jsonb::jsonb"),
    "lists of any length": (
        "SELECT a FROM t WHERE id IN (%s, %s, %s)",
        "SELECT a FROM t WHERE id IN ($1, $2)",
    ),
    "lists as PostgreSQL 18 keeps them": (
        "SELECT a FROM t WHERE id IN (%s, %s, %s)",
        "SELECT a FROM t WHERE id IN ($1 /*, ... */)",
    ),
    "a list of one": (
        "SELECT a FROM t WHERE t.id IN (%s) ORDER BY a",
        "SELECT a FROM t WHERE t.id = $1 ORDER BY a",
    ),
    "not in a list of one": (
        "SELECT a FROM t WHERE (id NOT IN (%s::int) AND b)",
        "SELECT a FROM t WHERE (id <> $1 AND b)",
    ),
    "rows of any number": (
        "INSERT INTO t (a, b) VALUES (%s, DEFAULT), (%s, DEFAULT), (%s, DEFAULT)",
        "INSERT INTO t (a, b) VALUES ($1, DEFAULT)",
    ),
    "literals": (
        "SELECT 'it''s', 1.5e3, -7, E'\\n', true, NULL, interval '1 day' FROM t1",
        "SELECT $1, $2, $3, $4, $5, $6, interval $7 FROM t1",
    ),
    "space, case and needless quotes": (
        'select  "a"\n from "t"  -- why\n where b = %s;',
        "SELECT a FROM t WHERE b=$1",
    ),
    "unicode literals": ("SELECT a || U&'\\FFFF' FROM t", "SELECT a || $1 FROM t"),
    "a doubled per cent sign": ("SELECT a %% 2 FROM t", "SELECT a % $1 FROM t"),
    "savepoints": ('SAVEPOINT "s140_x1"', 'SAVEPOINT "s999_x77"'),
    "released savepoints": ('RELEASE SAVEPOINT "s140_x1"', "RELEASE SAVEPOINT s2"),
    "savepoints rolled back to": ('ROLLBACK TO SAVEPOINT "s140_x1"', 'ROLLBACK TO SAVEPOINT "b"'),
    "cursors": (
        "SELECT a FROM t WHERE b = %s",
        'DECLARE "_django_curs_139_sync_1" NO SCROLL CURSOR WITH HOLD FOR SELECT a FROM t WHERE b = 5',
    ),
    "fetches": ('FETCH FORWARD 100 FROM "c1"', 'FETCH FORWARD 50 FROM "c2"'),
}


@pytest.mark.parametrize("what", SAME)
def test_same(what):
    ours, theirs = SAME[what]
    assert normalised(ours) == normalised(theirs)
    assert fingerprint(ours) == fingerprint(theirs)


LONG = {
    "a list": "SELECT a FROM t WHERE id IN (%s, %s, {}%s) AND b = %s",
    "rows": "INSERT INTO t (a, b) VALUES (%s, DEFAULT), {}(%s, DEFAULT) RETURNING id",
    "a savepoint": 'SAVEPOINT "s140_x{}"',
}
MORE = {"a list": "%s, ", "rows": "(%s, DEFAULT), ", "a savepoint": "1"}


@pytest.mark.parametrize("what", LONG)
def test_however_many_values_one_short_text_is_read(what):
    texts = [LONG[what].format(MORE[what] * times) for times in (1, 2, 50)]
    assert len({shortened(text) for text in texts}) == 1
    for text in texts:
        assert normalised(shortened(text)) == normalised(text)


@pytest.mark.parametrize("text", [text for pair in SAME.values() for text in pair])
def test_a_shortened_text_has_the_same_form(text):
    assert normalised(shortened(text)) == normalised(text)


DIFFERENT = {
    "a list of one and of two": (
        "SELECT a FROM t WHERE id IN (%s)",
        "SELECT a FROM t WHERE id IN (%s, %s)",
    ),
    "columns": ("SELECT a FROM t", "SELECT b FROM t"),
    "quoted names with capitals": ('SELECT "A" FROM t', "SELECT a FROM t"),
    "tests of nothing and of truth": (
        "SELECT a FROM t WHERE b IS NULL",
        "SELECT a FROM t WHERE b IS TRUE",
    ),
    "a test and its opposite": (
        "SELECT a FROM t WHERE b IS NOT NULL",
        "SELECT a FROM t WHERE b IS NULL",
    ),
    "names with digits": ("SELECT a FROM t1", "SELECT a FROM t2"),
    "operators": ("SELECT a FROM t WHERE b -> %s = %s", "SELECT a FROM t WHERE b ->> %s = %s"),
    "a difference and a negative number": ("SELECT a - 1 FROM t", "SELECT a, -1 FROM t"),
    "casts of columns": ("SELECT a::text FROM t", "SELECT a::int FROM t"),
    "savepoints and their release": ("SAVEPOINT a", "RELEASE SAVEPOINT a"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_different(what):
    one, other = DIFFERENT[what]
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM users WHERE phone = '+9779800000001'",
        "SELECT * FROM users WHERE phone = E'+977\\'9800000001'",
        "SELECT * FROM users WHERE phone = $$9800000001$$ OR phone = $x$9800000001$x$",
        "SELECT 9800000001, -9800000001, 9800000001.5",
    ],
)
def test_no_value_is_left(text):
    assert "980000" not in normalised(text)


def test_fits_a_bigint_and_is_never_the_rest():
    numbers = {fingerprint(f"SELECT a{n}") for n in range(1000)}
    assert len(numbers) == 1000
    assert all(-(2**63) <= n < 2**63 and n for n in numbers)
