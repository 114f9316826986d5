"""A statement's generic plan as a tree for people, asked for by its queryid alone."""

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.utils.translation import gettext as _

from monitoring.advice import conditions, statements
from monitoring.advice.planning import Planner, planning
from monitoring.advice.statements import Statement
from monitoring.advice.texts import Token, tokens

MASK = "…"
# In this order; what a node returns (Output) is never shown.
SHOWN = (
    *("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "TID Cond"),
    *("One-Time Filter", "Order By", "Conflict Filter", "Sort Key", "Presorted Key", "Group Key"),
    *("Cache Key", "Function Call"),
)
NEVER_TOLD = frozenset({"0", "1"})  # numbers that say nothing of anybody

# What the schema itself says: constants of views, constraints and partial indexes. A constant that stands
# nowhere there was folded from data, or typed by somebody, and is masked.
WRITTEN = """
SELECT definition FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'
UNION ALL SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indpred IS NOT NULL
"""


@dataclass(frozen=True)
class Badge:
    """A remark on a node; `tone` is good, warn, bad or quiet."""

    text: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One node of a plan. Costs are the planner's units, `share` the part (0 to 1) of the whole tree's
    cost that arises in this node itself; rows and bytes a row are estimates of one run."""

    node: str
    relation: str = ""
    alias: str = ""
    index: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    rows: float = 0
    width: int = 0
    cost: float = 0
    startup_cost: float = 0
    share: float = 0
    badges: tuple[Badge, ...] = ()
    children: tuple["Plan", ...] = field(default=())

    @property
    def percent(self) -> int:
        return round(100 * self.share)


def explain(queryid: int) -> Plan:
    """Return the generic plan of a measured statement.

    Nothing is run. Its own LIMIT is planned as the rows that a call returned on average. Constants are
    masked unless the schema itself contains them: PostgreSQL may have folded them from rows. Errors are
    fixed sentences, since PostgreSQL's may quote rows (monitoring/advice/planning.py).
    Raises NoStatement for a number that is not in this database's statistics, CannotPlan.
    """
    with planning() as planner:
        return _explained(planner, statements.find(planner, queryid))


def explain_found(statement: Statement) -> Plan:
    """Return the plan of a statement that `statements.find` has found, as `explain` does."""
    with planning() as planner:
        return _explained(planner, statement)


def _explained(planner: Planner, statement: Statement) -> Plan:
    plan = planner.plan(statement.text, statement.rows_per_call)
    return tree(plan, Written(planner))


class Written:
    """The constants that the schema's definitions contain; none while a table is locked.

    Read when a plan has the first constant to be looked up, which most have not: it takes longer than planning.
    """

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._found: frozenset[str] | None = None

    def __contains__(self, constant: object) -> bool:
        if self._found is None:
            self._found = self._read()
        return constant in self._found

    def _read(self) -> frozenset[str]:
        try:
            with self._planner.trying():
                rows = self._planner.fetch(WRITTEN)
        except psycopg.Error:
            return frozenset()
        found = (token for (text,) in rows for token in tokens(text or ""))
        return frozenset(token.text for token in found if token.kind in ("string", "number"))


def tree(plan: dict[str, Any], known: Container[str]) -> Plan:
    """Return EXPLAIN's JSON as a tree."""
    own = sum(_own_cost(node) for node, _above in conditions.walk(plan))
    return _node(plan, own, known, is_inner=False)


def _own_cost(node: dict[str, Any]) -> float:
    below = sum(float(child["Total Cost"]) for child in node.get("Plans", ()))
    return max(0.0, float(node["Total Cost"]) - below)


def _node(node: dict[str, Any], whole: float, known: Container[str], *, is_inner: bool) -> Plan:
    kind = _kind(node)
    is_loop = node["Node Type"] == "Nested Loop"
    children = tuple(
        _node(child, whole, known, is_inner=is_loop and child.get("Parent Relationship") == "Inner")
        for child in node.get("Plans", ())
    )
    return Plan(
        node=kind,
        relation=_relation(node),
        alias=str(node.get("Alias", "")),
        index=str(node.get("Index Name", "")),
        conditions=tuple((name, masked(node[name], known)) for name in SHOWN if name in node),
        rows=float(node["Plan Rows"]),
        width=int(node["Plan Width"]),
        cost=float(node["Total Cost"]),
        startup_cost=float(node["Startup Cost"]),
        share=_own_cost(node) / whole if whole else 0.0,
        badges=tuple(_badges(node, is_inner=is_inner)),
        children=children,
    )


def _kind(node: dict[str, Any]) -> str:
    kind = str(node["Node Type"])
    if kind == "ModifyTable":
        return str(node.get("Operation", kind))
    if join := node.get("Join Type"):
        kind = kind if join == "Inner" else f"{kind} ({join})"
    if node.get("Scan Direction") == "Backward":
        kind += " backward"
    if node.get("Subplan Name"):
        kind = f"{node['Subplan Name']}: {kind}"
    return f"Parallel {kind}" if node.get("Parallel Aware") else kind


def _relation(node: dict[str, Any]) -> str:
    name = str(node.get("Relation Name") or node.get("CTE Name") or node.get("Function Name") or "")
    schema = str(node.get("Schema", "public"))
    return name if schema in ("public", "pg_catalog") or not name else f"{schema}.{name}"


def _badges(node: dict[str, Any], *, is_inner: bool) -> list[Badge]:
    kind = node["Node Type"]
    found = []
    if kind == "Seq Scan":
        found.append(Badge(_("reads the whole table"), "warn"))
        if is_inner:
            found.append(Badge(_("once for each row of the other side"), "bad"))
    if kind == "Index Only Scan":
        found.append(Badge(_("from the index alone"), "good"))
    if kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node:
        found.append(Badge(_("reads the whole index, in its order"), "quiet"))
    if kind == "Sort":
        found.append(Badge(_("in memory or on disk: only a run would tell"), "quiet"))
    if node.get("Parent Relationship") == "SubPlan":
        found.append(Badge(_("may be run for each row"), "warn"))
    return found


NUMBERS = re.compile(r"\d+(?:\.\d+)?")


def masked(value: Any, known: Container[str]) -> str:
    """Return a condition, or a list of keys, without constants that the schema does not contain."""
    text = ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
    return "".join(_masked(token, known) for token in tokens(text, spaces=True))


def _masked(token: Token, known: Container[str]) -> str:
    if token.kind == "string" and token.text != "''" and token.text not in known:
        return f"'{MASK}'"
    if token.kind == "number" and token.text not in NEVER_TOLD and token.text not in known:
        return MASK
    return token.text
