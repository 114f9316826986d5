"""Normalised SQL read again: what is mended, what is refused."""

import pytest

from monitoring.advice import texts


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SELECT 1", "select"),
        ("  /* a ; */ -- b\n (WITH x AS (SELECT 1) SELECT 2)", "with"),
        ("DROP TABLE orders", "drop"),
        ("'select'", ""),
        ("", ""),
    ],
)
def test_first_word(text, word):
    assert texts.first_word(text) == word


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("SELECT 1", False),
        ("SELECT 1;", False),
        ("SELECT ';'", False),
        ('SELECT 1 AS "a;b"', False),
        ("SELECT $a$;$a$, $$;$$", False),
        ("SELECT E'\\';'", False),
        ("SELECT 1; DROP TABLE orders", True),
        ("SELECT 1;;", True),
    ],
)
def test_several(text, several):
    assert texts.is_several(text) is several


@pytest.mark.parametrize(
    ("text", "rows", "plannable"),
    [
        ("SELECT now() - interval $1", None, "SELECT now() - $1::interval"),
        ("SELECT date $1, x FROM t", None, "SELECT  $1::date, x FROM t"),
        ("SELECT extract($1 FROM t.at)", None, 'SELECT pg_catalog."extract"($1 , t.at)'),
        ("SELECT a FROM t WHERE b = $1 LIMIT $2", 20, "SELECT a FROM t WHERE b = $1 LIMIT 20"),
        ("SELECT a FROM t LIMIT $1 OFFSET $2", 7, "SELECT a FROM t LIMIT 7 OFFSET $1"),
        ("SELECT a FROM t LIMIT $1", 0.0, "SELECT a FROM t LIMIT 1"),
        (
            "SELECT a FROM (SELECT b FROM t LIMIT $1) x",
            5,
            "SELECT a FROM (SELECT b FROM t LIMIT $1) x",
        ),
        ("SELECT a FROM t WHERE b = $1 LIMIT $1", 5, "SELECT a FROM t WHERE b = $1 LIMIT $1"),
        ("SELECT a, interval $2 FROM t LIMIT $1", 5, "SELECT a,  $1::interval FROM t LIMIT 5"),
        ("SELECT 1;", None, "SELECT 1"),
    ],
)
def test_plannable(text, rows, plannable):
    assert " ".join(texts.plannable(text, rows).split()) == " ".join(plannable.split())


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("a_1", "a_1"),
        ("Select", '"Select"'),
        ("select", '"select"'),
        ('o"x', '"o""x"'),
        ("1a", '"1a"'),
    ],
)
def test_quoted(name, quoted):
    assert texts.quoted(name) == quoted
    assert texts.unquoted(texts.tokens(quoted)[0]) == name
