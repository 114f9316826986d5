"""Sums of three hours: every window is the same with them as from its samples alone, and reads far fewer rows."""

import random
from datetime import timedelta

import pytest

from khaacho import sql
from monitoring.history import partitions, sums, windows
from tests.monitoring.history.sampling import DAY, HOUR, MINUTE, make_statement, now, take
from tests.monitoring.history.test_windows import month, plan  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

FIVE = 5 * MINUTE
BINNED = "SELECT date_bin('3 hours', %s, '2001-01-01 00:00+00')"


@pytest.fixture
def edge():
    """The end of a span of three hours, twelve hours ago or more; samples of 20 hours lie around it."""
    moment = sql.fetch(BINNED, [now() - 12 * HOUR])[0][0]
    partitions.make(moment - DAY, moment + 2 * DAY)
    chance = random.Random(7)
    at = moment - 10 * HOUR
    while at <= moment + 10 * HOUR:
        for queryid in chance.sample(range(1, 6), 3):
            calls = chance.randint(1, 9)
            make_statement(at, queryid, calls, mean=chance.randint(1, 50), deviation=1, rows=calls)
        at += FIVE
    return moment


def add_up():
    return sql.execute(sums.ADD, {"at": now()})


WINDOWS = [
    *((-10 * HOUR, 10 * HOUR), (-3 * HOUR, 6 * HOUR), (-9 * HOUR, timedelta()), (HOUR, 2 * HOUR)),
    *((-4 * HOUR - MINUTE, 4 * HOUR + MINUTE), (-FIVE, FIVE), (-MINUTE, 3 * HOUR + MINUTE)),
    *((-2 * HOUR, 3 * HOUR - MINUTE), (-10 * HOUR, 30 * HOUR), (4 * HOUR, 4 * HOUR)),
]


def test_a_window_is_the_same_with_sums_and_without(edge):
    asked = [(edge + since, edge + until) for since, until in WINDOWS]
    plain = [windows.statements(*window) for window in asked]
    single = [windows.statement(3, *window) for window in asked]
    assert add_up() == 5 * 8  # statements, spans with samples
    assert [windows.statements(*window) for window in asked] == plain
    assert [windows.statement(3, *window) for window in asked] == single
    sql.execute("DELETE FROM statement_samples WHERE sampled_at > %s", [edge - 3 * HOUR])
    assert windows.statements(edge - 3 * HOUR, edge + 6 * HOUR) == plain[1]  # of the sums alone


def test_what_came_after_the_last_sum_is_added(edge):
    add_up()
    sql.execute("DELETE FROM statement_sums WHERE until > %s", [edge])
    whole = windows.statements(edge - 10 * HOUR, edge + 10 * HOUR)
    assert add_up() == 5 * 4
    assert windows.statements(edge - 10 * HOUR, edge + 10 * HOUR) == whole
    assert add_up() == 0


def test_a_sample_adds_the_spans_before_it(edge):
    assert take().note == ""
    ends = [until for (until,) in sql.fetch("SELECT DISTINCT until FROM statement_sums ORDER BY 1")]
    assert ends == [edge + n * 3 * HOUR for n in range(-3, 5)]
    one = sql.fetch("SELECT sum(calls) FROM statement_sums WHERE until = %s", [edge])
    raw = "SELECT sum(calls) FROM statement_samples WHERE sampled_at > %s AND sampled_at <= %s"
    assert one == sql.fetch(raw, [edge - 3 * HOUR, edge])


def test_a_span_that_goes_on_is_not_added_yet(edge):
    make_statement(now(), 9, 1, mean=1, deviation=0)
    take()
    assert sql.fetch("SELECT count(*) FROM statement_sums WHERE queryid = 9") == [(0,)]
    sql.execute(sums.ADD, {"at": now() + 3 * HOUR})
    assert sql.fetch("SELECT calls FROM statement_sums WHERE queryid = 9") == [(1,)]


def test_they_are_forgotten_with_their_samples(edge):
    add_up()
    sql.execute(
        "UPDATE statement_sums SET until = until - interval '31 days' WHERE until <= %s", [edge]
    )
    kept = sql.fetch("SELECT count(*) FROM statement_sums WHERE until > %s", [edge])
    partitions.keep()
    assert sql.fetch("SELECT count(*) FROM statement_sums") == kept != [(0,)]


def test_a_month_reads_the_samples_of_its_edges_alone(month):  # noqa: F811 - the fixture
    since = month - 30 * DAY + HOUR
    plain = windows.statements(since, month)
    add_up()
    sql.execute("ANALYZE statement_sums")
    assert windows.statements(since, month) == plain
    found = plan(lambda: windows.statements(since, month))
    read = [
        float(line.split("actual rows=")[1].split()[0])
        for line in found.splitlines()
        if "on statement_samples_2" in line
        and "actual rows=" in line
        and "Bitmap Index" not in line
    ]
    assert sum(read) <= 300 * 6, found
