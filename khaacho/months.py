"""Months of the trade's append-only tables, cut off the open end ahead of time (docs/partitions.md).

A month is Kathmandu's, as people who ask for one mean it. Beyond the months that are made, everything falls
into `…_later`, a range without an end: no INSERT ever fails for want of a month, whoever neglects the nightly
job. It is not a DEFAULT partition: with one, months could not be detached without locking readers out,
and a list by date could not read its newest month alone.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction

from khaacho import sql
from khaacho.schedules import KATHMANDU
from khaacho.transactions import bounded_waits

log = logging.getLogger(__name__)

TABLES = ("audit_logs",)
SCHEMA = "months"
LATER = "later"
AHEAD = 3  # months beyond the current one
Fetch = Callable[[str, list[Any]], list[tuple[Any, ...]]]
LOCK = 0x6D6F6E74  # "mont": one at a time makes months
# Below PostgreSQL's deadlock_timeout of 1 s: it is we who step back, never somebody's order.
PATIENCE = "800ms"

# In their order; the last has no end. A bound has no columns: named with its table, pg_get_expr would return
# NULL for one that somebody has dropped since this statement began, and it would wait for its locks.
PARTS = """
SELECT part.relname::text, pg_get_expr(part.relpartbound, 0), i.inhdetachpending
FROM pg_inherits i JOIN pg_class part ON part.oid = i.inhrelid
WHERE i.inhparent = %s::regclass
"""
BOUND = re.compile(
    r"FOR VALUES FROM \((?:'(?P<since>.+?)'|MINVALUE)\) TO \((?:'(?P<until>.+?)'|MAXVALUE)\)"
)
REFERENCED = """
SELECT DISTINCT confrelid::regclass::text FROM pg_constraint
WHERE conrelid = %s::regclass AND contype = 'f' ORDER BY 1
"""
TRUNCATE = """
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {part}
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_append_only('{table}')
"""


@dataclass(frozen=True)
class Part:
    """A partition and the moments that it holds: from `since` (None: whatever is older) to before `until`
    (None: whatever is later). `is_leaving`: a DETACH CONCURRENTLY of it was begun and not finished."""

    name: str
    since: datetime | None
    until: datetime | None
    is_leaving: bool = False


def begin_of(moment: datetime) -> datetime:
    """Return when the moment's month begins, in Kathmandu."""
    local = moment.astimezone(KATHMANDU)
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def after(begin: datetime, months: int = 1) -> datetime:
    """Return when the month begins that is so many after the one that begins then; before, below 0."""
    local = begin.astimezone(KATHMANDU)
    number = local.year * 12 + local.month - 1 + months
    return local.replace(year=number // 12, month=number % 12 + 1)


def parts(table: str) -> list[Part]:
    """Return the partitions of a table, the oldest first, without those that are leaving it. One statement."""
    found = sorted_parts(sql.fetch(PARTS, [f"public.{table}"]))
    return [part for part in found if not part.is_leaving]


def sorted_parts(rows: Iterable[tuple[Any, ...]]) -> list[Part]:
    """Return what PARTS found in a session whose dates are ISO, those that are leaving last."""
    found = []
    for name, bound, is_leaving in rows:
        said = BOUND.fullmatch(bound)
        assert said is not None, bound
        since, until = (datetime.fromisoformat(text) if text else None for text in said.groups())
        found.append(Part(name, since, until, is_leaving))
    return sorted(
        found,
        key=lambda part: (part.is_leaving, part.since.timestamp() if part.since else float("-inf")),
    )


def made_until(table: str, fetch: Fetch = sql.fetch) -> datetime:
    """Return until when months are made; what is later falls into the open end. One statement of `fetch`."""
    found = sorted_parts(fetch(PARTS, [f"public.{table}"]))
    since = next(part.since for part in found if part.until is None)
    assert since is not None
    return since


def spilled(table: str) -> bool:
    """Whether rows lie in the open end: the clock was wrong, or months were not made for long."""
    return bool(sql.fetch(f"SELECT FROM {SCHEMA}.{table}_{LATER} LIMIT 1"))


def make_ahead(months: int = AHEAD) -> list[str]:
    """Make `months` beyond the current one of each table, where missing; return the names of the new ones.

    Two statements a table when nothing is missing. Otherwise readers and writers of the table wait for
    some milliseconds, once a month; where somebody holds it for longer than 800 ms nothing is
    made until the next time. Any number may run at once.
    """
    made: list[str] = []
    for table in wanting(months):
        try:
            with transaction.atomic(), bounded_waits(PATIENCE):
                sql.fetch_one("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                made += _cut(table, _goal(months))
        except OperationalError as error:
            log.warning("months.not_made", extra={"table": table, "reason": str(error).strip()})
    return made


def wanting(months: int = AHEAD) -> list[str]:
    """Return the tables of which months are missing."""
    return [table for table in TABLES if made_until(table) < _goal(months)]


def _goal(months: int) -> datetime:
    """Return until when months are to be made."""
    return after(begin_of(_now()), months + 1)


def _now() -> datetime:
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    now: datetime = row[0]
    return now


def _cut(table: str, goal: datetime) -> list[str]:
    """Cut months off the open end until `goal`. Raises OperationalError when the table is not to be had."""
    begin = made_until(table)
    if begin >= goal:
        return []  # somebody else did
    later = f"{SCHEMA}.{table}_{LATER}"
    _lock(table)
    sql.execute(f"ALTER TABLE public.{table} DETACH PARTITION {later}")
    if not spilled(table):
        made = _months(table, begin, goal)
        _attach(table, Part(f"{table}_{LATER}", goal, None))
        return made
    return _clear(table, begin, goal)


def _clear(table: str, begin: datetime, goal: datetime) -> list[str]:
    """Make months where rows lie in the open end already, which is detached.

    What was written until now, while no month was made, stays where it is, in one partition until the
    end of the current month: nothing is copied, however much it is. Rows of the future are few, by
    clocks that went wrong, and are moved to their months.
    """
    log.warning("months.spilled", extra={"table": table, "since": begin})
    old = f"{SCHEMA}.{table}_spilled"
    sql.execute(f"ALTER TABLE {SCHEMA}.{table}_{LATER} RENAME TO {table}_spilled")
    _create(table, f"{table}_{LATER}")
    this_end = after(begin_of(_now()))
    if not sql.fetch(f"SELECT FROM {old} WHERE created_at < %s LIMIT 1", [this_end]):
        this_end = begin
    made = _months(table, this_end, goal)
    _attach(table, Part(f"{table}_{LATER}", goal, None))
    sql.execute(
        f"WITH moved AS (DELETE FROM {old} WHERE created_at >= %s RETURNING *)"
        f" INSERT INTO public.{table} SELECT * FROM moved",
        [this_end],
    )
    sql.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else its pending checks forbid to attach it
    if begin == this_end:
        sql.execute(f"DROP TABLE {old}")
        return made
    kept = Part(f"{table}_until_{_suffix(after(this_end, -1))}", begin, this_end)
    sql.execute(f"ALTER TABLE {old} RENAME TO {kept.name}")
    _attach(table, kept)
    return [kept.name, *made]


def _months(table: str, since: datetime, until: datetime) -> list[str]:
    made = []
    while since < until:
        part = Part(f"{table}_{_suffix(since)}", since, after(since))
        _create(table, part.name)
        _attach(table, part)
        made.append(part.name)
        since = after(since)
    return made


def creating(table: str, name: str) -> list[str]:
    """Return what makes a table that can become a part: as the parent is, append-only, and empty."""
    return [
        # Ids are given by the parent's sequence; PostgreSQL 17 refuses a part with one of its own.
        f"CREATE TABLE {SCHEMA}.{name} (LIKE public.{table} INCLUDING ALL EXCLUDING IDENTITY)",
        TRUNCATE.format(part=f"{SCHEMA}.{name}", table=table),
    ]


def attaching(table: str, part: Part) -> str:
    """Return what attaches a table to its parent, which gives it the triggers of rows and the foreign keys."""
    return (
        f"ALTER TABLE public.{table} ATTACH PARTITION {SCHEMA}.{part.name} FOR VALUES"
        f" FROM ({_literal(part.since, 'MINVALUE')}) TO ({_literal(part.until, 'MAXVALUE')})"
    )


def _create(table: str, name: str) -> None:
    for statement in creating(table, name):
        sql.execute(statement)


def _attach(table: str, part: Part) -> None:
    sql.execute(attaching(table, part))


def _literal(moment: datetime | None, otherwise: str) -> str:
    return f"'{moment.isoformat()}'" if moment is not None else otherwise


def _suffix(begin: datetime) -> str:
    return f"{begin.astimezone(KATHMANDU):%Y_%m}"


def _lock(table: str) -> None:
    """Lock the table for this transaction, after what it references, as whoever writes both does."""
    for (referenced,) in sql.fetch(REFERENCED, [f"public.{table}"]):
        sql.execute(f"LOCK TABLE {referenced} IN SHARE ROW EXCLUSIVE MODE")
    sql.execute(f"LOCK TABLE ONLY public.{table} IN ACCESS EXCLUSIVE MODE")
