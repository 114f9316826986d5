"""Target 10, with little in the database: what it finds, not how fast."""

from datetime import timedelta

import pytest

from bench.harness import postgres, worlds
from bench.targets import database_pages
from khaacho import sql
from khaacho.enums import Role
from khaacho.models import User
from tests.bench.benches import make_bench
from tests.monitoring.conftest import unhurried  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

FEW, HOURS = 200, 30


def counted(table: str) -> int:
    row = sql.fetch_one(f"SELECT count(*) FROM {table}")
    assert row
    return int(row[0])


@pytest.fixture
def few_pages(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> None:  # noqa: F811 - the fixture
    """Measure one page, once, without a VACUUM of all the tests' database, however busy the machine is."""
    assert postgres.has_statistics()
    User.objects.create(phone="+9779800000000", name="Boss", role=Role.ADMIN, is_superuser=True)
    space = [page for page in database_pages.PAGES if page.name == "space"]
    monkeypatch.setattr(database_pages, "PAGES", space)
    monkeypatch.setattr(database_pages, "REPEATS", 1)
    monkeypatch.setattr(database_pages, "HOURS", HOURS)
    # The server of the tests has counted ten thousands of statements.
    few = f"(SELECT * FROM statement_counters LIMIT {FEW}) c"
    statements = database_pages.STATEMENTS.replace("statement_counters c", few)
    monkeypatch.setattr(database_pages, "STATEMENTS", statements)
    monkeypatch.setattr(worlds, "settle", lambda: None)


def test_samples_reach_as_far_back_as_they_say(few_pages) -> None:
    database_pages.fill_history()
    assert counted("samples") == 24 * 12 + 1
    assert counted("database_samples") == 24 * 12 + 1
    assert counted("origin_spans") == (24 * 12 + 1) * database_pages.ROUTES
    assert 23 <= counted("origin_hours") / database_pages.ROUTES <= 25
    assert counted("job_minutes") == (24 * 60 + 1) * 6
    assert (
        counted("statement_samples") >= 24 * 12 * min(FEW, counted("statement_counters")) > 24 * 12
    )
    hours = sql.fetch("SELECT count(DISTINCT sampled_at), count(*) FROM index_samples")
    assert hours[0][0] == HOURS + 1
    assert hours[0][1] > HOURS * 100
    assert sql.fetch("SELECT DISTINCT until - since, samples FROM index_rests") == [
        (timedelta(hours=HOURS), HOURS + 1)
    ]


def test_each_page_is_timed_beside_a_smaller_trade(few_pages) -> None:
    found = database_pages.measure(make_bench())
    slowest, grown, silent = found.results
    assert slowest.ours > 0
    assert slowest.reference
    assert (grown.ours, silent.ours) == (0, 0), silent.note
    assert [row[0] for row in found.tables[0].rows] == ["Space and growth", "A query"]
    assert all(row[5] > 3 for row in found.tables[0].rows)


def test_a_panel_that_cannot_be_read_is_named(few_pages) -> None:
    sql.execute("ALTER VIEW monitor.wraparound RENAME TO wraparound_elsewhere")
    try:
        silent = database_pages.measure(make_bench()).results[2]
    finally:
        sql.execute("ALTER VIEW monitor.wraparound_elsewhere RENAME TO wraparound")
    assert silent.met is False
    # Beside it may stand what a busy machine had no time for.
    assert "Space and growth: ids" in silent.note
