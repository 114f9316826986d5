"""Weeks of the partitioned tables: made ahead, dropped when the last of their days is older than 30 days.

A week begins on Monday, 00:00 UTC, and its tables stand in the schema `monitor`, out of the way of those
of the trade. A new one is attached, not created in place: that takes a lock which readers do not wait for.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.db import OperationalError, transaction

from khaacho import sql
from khaacho.transactions import bounded_waits
from monitoring.history import rests

log = logging.getLogger(__name__)

TABLES = ("statement_samples", "database_samples", "table_samples", "index_samples")
SCHEMA = "monitor"
WEEK = timedelta(days=7)
KEPT = timedelta(days=30)
AHEAD = (
    2  # weeks beyond the current one: a job that fails for a fortnight is not noticed by samples
)
LOCK = 0x68697374  # "hist": one at a time makes and drops weeks
SAMPLE_LOCK = 0x73616D70  # "samp": one sample at a time; taken after LOCK
PATIENCE = "1s"  # to wait for readers of the table, while others wait behind us

EXISTING = """
SELECT parent.relname, part.relname
FROM pg_inherits i
JOIN pg_class part ON part.oid = i.inhrelid
JOIN pg_class parent ON parent.oid = i.inhparent
WHERE parent.relname = ANY (%s) AND parent.relkind = 'p'
    AND parent.relnamespace = 'public'::regnamespace
"""


def monday(moment: datetime) -> date:
    """Return the day on which the moment's week begins, in UTC."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def make_ahead(weeks: int = AHEAD) -> list[str]:
    """Make the current week of each table and `weeks` more, where missing; return the names of the new ones.

    Two statements when nothing is missing. Any number may run at once.
    """
    now = _now()
    return make(now, now + weeks * WEEK)


def make(since: datetime, until: datetime) -> list[str]:
    """Make the weeks of each table from one moment to another, as `make_ahead` does."""
    first, last = monday(since), monday(until)
    weeks = [first + number * WEEK for number in range((last - first) // WEEK + 1)]
    wanted = [(table, week) for table in TABLES for week in weeks]
    if not _missing(wanted):
        return []
    with transaction.atomic():
        sql.fetch_one("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        return [_make(table, begin) for table, begin in _missing(wanted)]


def drop_old(kept: timedelta = KEPT) -> list[str]:
    """Drop the weeks that ended more than `kept` ago; return their names. Any number may run at once.

    A week that somebody reads just now for longer than a second stays until the next time.
    """
    with transaction.atomic():
        sql.fetch_one("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        # a sample holds one of these tables while it waits for the next, as we do
        sql.fetch_one("SELECT pg_advisory_xact_lock(%s)", [SAMPLE_LOCK])
        oldest = _now() - kept
        return [name for name, end in _ends() if end <= oldest and _dropped(name)]


def keep() -> None:
    """Make weeks ahead and forget what is older than 30 days, texts of statements included."""
    make_ahead()
    drop_old()
    oldest = _now() - KEPT
    sql.execute("DELETE FROM samples WHERE sampled_at < %s", [oldest])
    sql.execute("DELETE FROM statement_sums WHERE until < %s", [oldest])
    sql.execute(rests.FORGET, [oldest])
    sql.execute("DELETE FROM statement_texts WHERE last_seen < %s", [oldest])


def _now() -> datetime:
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    now: datetime = row[0]
    return now


def _missing(wanted: list[tuple[str, date]]) -> list[tuple[str, date]]:
    present = {part for _, part in sql.fetch(EXISTING, [list(TABLES)])}
    return [(table, begin) for table, begin in wanted if _name(table, begin) not in present]


def _name(table: str, begin: date) -> str:
    year, week, _ = begin.isocalendar()
    return f"{table}_{year}_w{week:02}"


def _make(table: str, begin: date) -> str:
    name = _name(table, begin)
    since, until = _midnight(begin), _midnight(begin + WEEK)
    sql.execute(f"CREATE TABLE {SCHEMA}.{name} (LIKE public.{table} INCLUDING ALL)")
    sql.execute(
        f"ALTER TABLE public.{table} ATTACH PARTITION {SCHEMA}.{name}"
        f" FOR VALUES FROM ('{since.isoformat()}') TO ('{until.isoformat()}')"
    )
    return name


def _ends() -> Iterator[tuple[str, datetime]]:
    """Yield each week's table with the moment at which it ends."""
    for _, name in sql.fetch(EXISTING, [list(TABLES)]):
        yield name, end_of(name)


def end_of(name: str) -> datetime:
    """Return the moment at which a week's table ends, which its name says."""
    year, week = name[-8:].split("_w")
    return _midnight(date.fromisocalendar(int(year), int(week), 1) + WEEK)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _dropped(name: str) -> bool:
    try:
        with bounded_waits(PATIENCE):
            sql.execute(f"DROP TABLE {SCHEMA}.{name}")
    except OperationalError:
        log.warning("history.week_stays", extra={"week": name})
        return False
    return True
