"""The page of a plan takes a queryid and nothing else: 300 ways to ask it for more."""

import random
import re
from urllib.parse import quote

import pytest
from django.test import Client

from khaacho import permissions, sql
from khaacho.enums import Role
from tests.admin.conftest import signed_in
from tests.factories import make_employee, make_user
from tests.monitoring.advice.conftest import SECRET

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

PAGE = "/admin/database/plan/"
ATTACKS = (
    "1; DROP TABLE bazaar.small",
    "1;DROP TABLE bazaar.small--",
    "1 UNION SELECT word FROM bazaar.secrets",
    "(SELECT word::int FROM bazaar.secrets)",
    "SELECT 1/0",
    "1 OR 1=1",
    "1'",
    '1"',
    "$1",
    "%s",
    "%(limit)s",
    "NULL",
    "true",
    "1e3",
    "0x10",
    "1_000",
    "+1",
    "--1",
    "- 1",
    " 1",
    "1 ",
    "01",
    "-0",
    "1.0",
    "१२३",
    "٣",
    "²",
    "①",
    "99999999999999999999",
    "9223372036854775808",
    "-9223372036854775809",
    "1" * 5000,
    "-",
    "",
    "../plan/1",
    "..%2f1",
    "1%00",
    "\x00",
    "\n1",
    "1\r\nX: y",
    "<script>alert(1)</script>",
    "{{ 7 }}",
    "${7}",
    "EXPLAIN ANALYZE DELETE FROM bazaar.small",
    "pg_sleep(5)",
    "[1]",
    '{"queryid": 1}',
    "1,2",
    "1/2",
    "1?queryid=2",
    "1#2",
    "None",
    "inf",
    "nan",
    "\ud7ff",
    "é" * 50,
)


def contents():
    """Return the whole database, but for what a request leaves of itself."""
    tables = [
        name
        for (name,) in sql.fetch(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('public', 'bazaar') ORDER BY 1"
        )
    ]
    return {
        name: sql.fetch(
            f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} t"
        )
        for name in tables
        if name != "bazaar.sales"
    } | {"tables": tables}


@pytest.fixture
def boss(bazaar) -> Client:
    permissions.sync_groups()
    return signed_in(make_user(Role.ADMIN, is_superuser=True))


@pytest.fixture
def leaky(ran) -> list[int]:
    """Statements whose planning reads the secret, or fails with it, and one that says it itself."""
    sql.execute(
        "CREATE OR REPLACE FUNCTION bazaar.mild() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"
    )
    found = [
        ran("SELECT name FROM bazaar.customers WHERE name = bazaar.leak()"),
        ran("SELECT id FROM bazaar.small WHERE a = bazaar.mild()"),
        ran(f"SELECT word FROM bazaar.secrets WHERE word = '{SECRET}'"),
    ]
    sql.execute(
        "CREATE OR REPLACE FUNCTION bazaar.mild() RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " 'BEGIN RETURN bazaar.blurt(); END'"
    )
    return found


def payloads(queryids):
    chance = random.Random(5)
    attacks = [*ATTACKS, *(f"{queryids[0]}{attack}" for attack in ATTACKS if attack)]
    alphabet = "0123456789-;'\"()$%\\ \tSELECTword*,./&=+\u0967\u00e9"
    attacks += ["".join(chance.choices(alphabet, k=chance.randint(1, 40))) for _ in range(100)]
    return attacks


def test_a_fuzz_of_300_payloads_learns_nothing_and_changes_nothing(boss, leaky):
    asked = payloads(leaky)
    boss.get(f"{PAGE}{leaky[0]}/")  # so that what a first request leaves is there already
    before = contents()
    answers = [boss.get(f"{PAGE}{quote(attack, safe='')}/") for attack in asked]
    for attack in asked[:60]:
        answers.append(
            boss.get(f"{PAGE}{leaky[0]}/", {"queryid": attack, "sql": attack, "q": attack})
        )
        header = (
            attack.encode("ascii", "ignore")
            .decode()
            .replace("\r", "")
            .replace("\n", "")
            .replace("\0", "")
        )
        answers.append(boss.get(f"{PAGE}{leaky[1]}/", HTTP_X_QUERYID=header, HTTP_X_SQL=header))
        answers.append(boss.post(f"{PAGE}{leaky[1]}/", {"sql": attack, "queryid": attack}))
    answers += [boss.get(f"{PAGE}{queryid}/") for queryid in leaky]
    assert len(answers) >= 300
    assert {answer.status_code for answer in answers} <= {200, 404, 405}
    assert all(SECRET.encode() not in answer.content for answer in answers)
    assert contents() == before
    for path_answer in answers[: len(asked)]:
        assert path_answer.status_code == 404


def test_only_get_and_head(boss, leaky):
    path = f"{PAGE}{leaky[0]}/"
    assert boss.head(path).status_code == 200
    for method in ("post", "put", "patch", "delete"):
        assert getattr(boss, method)(path).status_code == 405


def test_shows_the_tree(boss, ran):
    queryid = ran("SELECT note FROM bazaar.sales WHERE total = 12")
    answer = boss.get(f"{PAGE}{queryid}/")
    text = answer.content.decode()
    assert '<ul class="tree">' in text
    assert "reads the whole table" in text
    # its value, if PostgreSQL forgot rare statements while it ran: then it keeps the text as it came
    assert re.search(r"\(sales\.total = (\$1|12)\)", text)
    assert "style=" not in text.split('id="content-main"')[1]


def test_says_why_there_is_no_plan(boss, leaky):
    text = boss.get(f"{PAGE}{leaky[1]}/").content.decode()
    assert "PostgreSQL refuses to plan it." in text


def test_who_may_see_it(boss, leaky):
    path = f"{PAGE}{leaky[0]}/"
    assert signed_in(make_employee("Database")).get(path).status_code == 200
    assert signed_in(make_employee("Support")).get(path).status_code == 403
    assert signed_in(make_user(Role.RETAILER)).get(path).status_code in (302, 403)
    assert Client().get(path).status_code == 302
