"""How many days a disk lasts at the database's pace, and until when tables of samples are made ahead."""

import re
import shutil
from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone

from khaacho import months, sql
from monitoring.history import partitions
from monitoring.pages import space
from tests.monitoring.history.sampling import DAY, make_database, now
from tests.monitoring.pages.reading import body, panels, url, words

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def grown(per_day: int) -> None:
    """Let the database have grown by so many bytes a day for two days."""
    at = now()
    partitions.make(at - 3 * DAY, at)
    for days in (2, 1, 0):
        make_database(at - days * DAY, bytes=10**12 - days * per_day)


def days_left(text: str) -> str:
    return words(panels(text)["days"])


def test_a_disk_lasts_as_long_as_the_database_s_pace_allows(keeper, settings, tmp_path):
    settings.WATCHED_DISKS = [str(tmp_path)]
    grown(shutil.disk_usage(tmp_path).free // 10)
    said = days_left(body(keeper, url("space")))
    assert re.search(rf"{re.escape(str(tmp_path))} \d+\.?\d* % .* (9|10|11) Table", said), said
    assert 'class="badge bad"' in panels(body(keeper, url("space")))["days"]


def test_one_row_of_each_disk_and_none_of_what_is_not_there(keeper, settings, tmp_path):
    (tmp_path / "a").mkdir()
    settings.WATCHED_DISKS = [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "missing")]
    said = days_left(body(keeper, url("space")))
    assert said.count(str(tmp_path)) == 1
    assert "not growing, or not known yet" in said


def test_no_watched_disk_here(keeper, settings):
    settings.WATCHED_DISKS = ["/nowhere/at/all"]
    assert "No watched directory is on this machine." in days_left(body(keeper, url("space")))


def test_weeks_that_are_made_ahead(keeper):
    made = now()
    partitions.make(made, made + 2 * partitions.WEEK)
    last = partitions.monday(made + 2 * partitions.WEEK)
    end = datetime.combine(last + partitions.WEEK, time(), UTC)
    said = days_left(body(keeper, url("space")))
    for table in partitions.TABLES:
        assert f"{table} {end + timedelta(hours=5, minutes=45):%Y-%m-%d %H:%M} " in said
    assert int(re.findall(r"statement_samples \S+ \S+ (\d+)", said)[0]) == (end - made).days


def test_months_of_the_audit_log_that_are_made_ahead(keeper):
    partitions.make_ahead()
    end = months.made_until("audit_logs")
    said = days_left(body(keeper, url("space")))
    assert f"audit_logs {timezone.localtime(end):%Y-%m-%d %H:%M} {(end - now()).days}" in said


def test_says_when_no_week_is_made(keeper):
    names = sql.fetch(partitions.EXISTING, [list(partitions.TABLES)])
    for _, name in names:
        sql.execute(f"DROP TABLE {partitions.SCHEMA}.{name}")
    try:
        assert "nothing is sampled" in days_left(body(keeper, url("space")))
    finally:
        partitions.make_ahead()


@pytest.mark.parametrize(
    ("days", "tone"), [(None, "quiet"), (13, "bad"), (14, "warn"), (59, "warn"), (60, "good")]
)
def test_few_days_are_bad(days, tone):
    assert space._ahead(days, *space.DISK_DAYS) == tone
