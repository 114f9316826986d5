"""PostgreSQL's own figures: statements counted, their cost, their plans."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.test.utils import CaptureQueriesContext

from bench.harness.rounds import Call
from khaacho import sql


@dataclass(frozen=True)
class Cost:
    """What PostgreSQL spent on a call: ms of execution, and pages of 8 kB that it looked at."""

    ms: float
    blocks: float
    statements: float


def captured(call: Call) -> list[str]:
    """Return the call's SQL with its values, as Django sent it; transaction control included."""
    with CaptureQueriesContext(connection) as context:
        call()
    return [query["sql"] for query in context.captured_queries]


def has_statistics() -> bool:
    """Return whether pg_stat_statements can be read here, creating the extension if need be."""
    try:
        with transaction.atomic():
            sql.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            sql.fetch_one("SELECT count(*) FROM pg_stat_statements(false)")
    except DatabaseError:
        return False
    return True


def cost(call: Call, times: int) -> Cost | None:
    """Return PostgreSQL's mean cost of a call over `times` calls; None without pg_stat_statements."""
    call()  # enters its world; what is prepared or cached once is there
    if not has_statistics():
        return None
    before = _counted()
    for _ in range(times):
        call()
    spent = [now - then for now, then in zip(_counted(), before, strict=True)]
    return Cost(*(value / times for value in spent))


def _counted() -> list[float]:
    """Return what this database's statements have cost so far: ms, blocks, calls."""
    row = sql.fetch_one(
        "SELECT coalesce(sum(total_exec_time), 0), coalesce(sum(shared_blks_hit + shared_blks_read), 0),"
        " coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
        " WHERE d.datname = current_database() AND query NOT ILIKE '%%pg_stat_statements%%'"
    )
    assert row
    return [float(value) for value in row]


@dataclass(frozen=True)
class Plan:
    """A statement's plan, and the ms that executing it took."""

    statement: str
    root: dict[str, Any]
    ms: float

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield every node, the outermost first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop(0)
            yield node
            waiting += node.get("Plans", [])

    @property
    def indexes(self) -> list[str]:
        return [node["Index Name"] for node in self.nodes() if "Index Name" in node]

    @property
    def heap_fetches(self) -> int | None:
        """Rows that index-only scans had to look up; None when there is no such scan."""
        found = [n["Heap Fetches"] for n in self.nodes() if n["Node Type"] == "Index Only Scan"]
        return sum(found) if found else None

    def scanned(self) -> dict[str, float]:
        """Return tables read from end to end, with how many rows were read of each."""
        return {
            node["Relation Name"]: (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            * node["Actual Loops"]
            for node in self.nodes()
            if node["Node Type"] == "Seq Scan" and node["Actual Loops"]
        }

    def __str__(self) -> str:
        """Say each node's type with its index or table, outermost first."""
        return " > ".join(
            " ".join(
                filter(None, (n["Node Type"], n.get("Index Name") or n.get("Relation Name", "")))
            )
            for n in self.nodes()
        )


def explain(statement: str) -> Plan:
    """Execute a SELECT and return its plan."""
    if not statement.lstrip("( ").upper().startswith(("SELECT", "WITH")):
        raise ValueError("only a SELECT is executed for its plan")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}")
        found = cursor.fetchone()[0]
    document = found if isinstance(found, list) else json.loads(found)
    return Plan(statement, document[0]["Plan"], document[0]["Execution Time"])


def big_tables(rows: int = 10_000) -> set[str]:
    """Return tables with at least that many rows, as of their last ANALYZE."""
    found = sql.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s"
        " AND relnamespace IN ('public'::regnamespace, 'months'::regnamespace)",
        [rows],
    )
    return {name for (name,) in found}
