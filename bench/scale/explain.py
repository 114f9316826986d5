"""Plans of the statements that a request, a job or a sweep really executes: none is copied by hand."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import mogrify

from khaacho import sql

EXPLAINABLE = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
BIG = 10_000  # rows of a table that no screen may read through
BIG_INDEX = 200  # pages
SCHEMAS = ["public", "months"]
DEPTH = 3  # pages of index and table that one row may cost
COUNTING = re.compile(r"SELECT COUNT\(\*\) FROM \(.* LIMIT 10001\) subquery", re.DOTALL)
SHARE = 0.1
INDEX_ONLY = "Index Only Scan"
BY_INDEX = (INDEX_ONLY, "Index Scan", "Bitmap Index Scan")


@dataclass(frozen=True)
class Node:
    """One node of an executed plan, with the figures of all its loops together."""

    kind: str
    relation: str
    index: str
    rows_read: float
    pages_read: int
    heap_fetches: int


@dataclass(frozen=True)
class Statement:
    """A statement as it was executed, with its plan as JSON and, when asked for, as text."""

    sql: str
    plan: dict[str, Any] = field(repr=False)
    text: str = field(default="", repr=False)

    @property
    def nodes(self) -> list[Node]:
        return list(_nodes(self.plan))

    @property
    def indexes(self) -> set[str]:
        return {node.index for node in self.nodes if node.index}


def _nodes(plan: dict[str, Any]) -> Iterator[Node]:
    loops = plan.get("Actual Loops", 0)
    removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    beneath = sum(_pages(part) for part in plan.get("Plans", ()))  # of a scan: its subqueries
    yield Node(
        kind=plan["Node Type"],
        relation=plan.get("Relation Name", ""),
        index=plan.get("Index Name", ""),
        rows_read=(plan.get("Actual Rows", 0) + removed) * loops,
        # a node that runs again reads the same pages again: only of one run do they say anything
        pages_read=_pages(plan) - beneath if loops == 1 else 0,
        heap_fetches=plan.get("Heap Fetches", 0),
    )
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _pages(plan: dict[str, Any]) -> int:
    """Return the pages that a node and all beneath it looked at."""
    pages: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return pages


def explained(call: Callable[[], object], *, text: bool = False) -> list[Statement]:
    """Run `call` and return each statement that it executed, explained just before it ran.

    Inside a transaction, which the caller rolls back: explaining a write writes, to a savepoint.
    """
    found: list[Statement] = []
    is_ours = False

    def explain(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_ours
        if not is_ours and not many and EXPLAINABLE.match(statement):
            is_ours = True
            found.append(_explain(statement, params, text=text))
            is_ours = False
        return execute(statement, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(explain):
        call()
    return found


class _Explained(Exception):
    """Rolls the savepoint of an explanation back."""


def _explain(statement: str, params: Any, *, text: bool) -> Statement:
    """Return the statement with its plan; what it wrote is rolled back."""
    explanation = Statement(statement, {})
    with suppress(_Explained), transaction.atomic():
        [(plan,)] = sql.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", params)
        parsed = plan if isinstance(plan, list) else json.loads(plan)
        lines = sql.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", params) if text else []
        said = _with_values(statement, params) if text else statement
        explanation = Statement(said, parsed[0]["Plan"], "\n".join(line for (line,) in lines))
        raise _Explained
    return explanation


def _with_values(statement: str, params: Any) -> str:
    if not params:
        return statement  # where a per cent sign is an operator
    text: str = mogrify(statement, params, connection)
    return text


@dataclass(frozen=True)
class Sizes:
    """Rows of big tables, and pages of the indexes on them, as of the last VACUUM and ANALYZE."""

    rows: dict[str, int]
    pages: dict[str, int]


def sizes() -> Sizes:
    """Measure the database, parts of tables as well. Two statements."""
    rows = sql.fetch(
        "SELECT relname, reltuples::bigint FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = ANY (%s::regnamespace[]) AND reltuples > %s",
        [SCHEMAS, BIG],
    )
    pages = sql.fetch(
        "SELECT c.relname, c.relpages FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = ANY (%s::regnamespace[])"
        " AND t.reltuples > %s AND c.relpages > %s",
        [SCHEMAS, BIG, BIG_INDEX],
    )
    return Sizes(dict(rows), dict(pages))


def excessive(statements: list[Statement], measured: Sizes) -> list[str]:
    """Say of each node that reads more than a tenth of a big table, or of its index, what it read.

    A list's count ends at 10,000 rows, and may read three times as many to find them. An index that is
    searched by another column than its first returns few rows and reads all of its pages.
    """
    found = []
    for statement in statements:
        bound = 3 * BIG if COUNTING.match(statement.sql) else BIG
        for node in statement.nodes:
            rows = measured.rows.get(node.relation, 0)
            pages = measured.pages.get(node.index, 0) if node.kind in BY_INDEX else 0
            if rows and node.rows_read > max(bound + 1, SHARE * rows):
                found.append(f"{node.kind} reads {node.rows_read:,.0f} of {rows:,} {node.relation}")
            elif pages and node.pages_read > SHARE * pages + DEPTH * node.rows_read:
                found.append(f"{node.kind} reads {node.pages_read:,} of {pages:,} of {node.index}")
    return found
