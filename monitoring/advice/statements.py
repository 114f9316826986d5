"""What was measured: statements of this database as pg_stat_statements has them, by queryid."""

from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.translation import gettext as _

from khaacho.exceptions import NotFound
from monitoring.advice.planning import CannotPlan

QUERYID_MAX = 2**63 - 1
HIDDEN = "<insufficient privilege>"
# What looks at the database itself is no work of the application.
OWN = r"\m(pg_\w+|hypopg\w*|monitor\.\w+|information_schema|khaacho_plan)"


class NoStatement(NotFound):
    """There is no such statement in this database's statistics."""

    code = "no_statement"


class Reader(Protocol):
    """What reads the statistics: a Planner, or monitoring/database/access.py."""

    def fetch(self, statement: str, params: Any, /) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Statement:
    """A statement as it was measured since its statistics began. Times in ms; `rows` returned or touched."""

    queryid: int
    text: str
    calls: int
    total_ms: float
    rows: int

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.calls if self.calls else 0.0

    @property
    def rows_per_call(self) -> float | None:
        return self.rows / self.calls if self.calls else None


SOURCE = """
SELECT s.queryid, (array_agg(s.query ORDER BY s.total_exec_time DESC))[1], sum(s.calls)::bigint,
    sum(s.total_exec_time), sum(s.rows)::bigint
FROM monitor.statements(true) s
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND s.queryid IS NOT NULL AND {condition}
GROUP BY s.queryid
ORDER BY 4 DESC LIMIT %(limit)s
"""


def find(reader: Reader, queryid: int) -> Statement:
    """Return the statement with this number. Raises NoStatement, and CannotPlan when its text is hidden."""
    if not -QUERYID_MAX - 1 <= queryid <= QUERYID_MAX:
        raise NoStatement
    found = _read(reader, "s.queryid = %(queryid)s", {"queryid": queryid, "limit": 1})
    if not found:
        raise NoStatement
    [statement] = found
    if not statement.text or statement.text == HIDDEN:
        raise CannotPlan(
            _(
                "Its text is hidden. As a superuser: GRANT pg_read_all_stats TO the role that watches."
            )
        )
    return statement


def top(reader: Reader, limit: int) -> list[Statement]:
    """Return the statements of the application that took most time in all, most first."""
    condition = r"""s.query ~* '^\s*(/\*.*?\*/\s*)?\(?\s*(select|with|insert|update|delete|merge)\M'
        AND s.query !~* %(own)s"""
    return _read(reader, condition, {"own": OWN, "limit": limit})


def measured(reader: Reader, queryids: list[int]) -> dict[int, tuple[int, float]]:
    """Return calls and total ms of those of the statements that are still known."""
    found = _read(reader, "s.queryid = ANY(%(ids)s)", {"ids": queryids, "limit": len(queryids)})
    return {each.queryid: (each.calls, each.total_ms) for each in found}


def _read(reader: Reader, condition: str, values: dict[str, Any]) -> list[Statement]:
    rows = reader.fetch(SOURCE.format(condition=condition), values)
    return [Statement(*row) for row in rows]
