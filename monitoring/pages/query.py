"""All about one statement: its text, its figures, its tables and their indexes."""

import re
from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.utils.translation import gettext_lazy as _

from monitoring.advice import plans, statements
from monitoring.advice.planning import CannotPlan
from monitoring.advice.statements import NoStatement, Statement
from monitoring.database import access
from monitoring.pages import statement_rows, timelines
from monitoring.pages.framework import MonitoringPage, Panel, Window
from monitoring.pages.sharing import once
from monitoring.pages.statements import NEEDS, WANTS
from monitoring.sources import selectors as sources

TABLES = 20  # of a statement, at most
# The name after the words that a table follows: schema or none, quoted or not.
_NAMED = re.compile(
    r'\b(?:from|join|update|into|only|table|on)\s+(?:only\s+)?(?:"?\w+"?\.)?"?([a-z_]\w*)"?',
    re.IGNORECASE,
)
# Not from index_usage_stats, which asks for the size of every relation: 20 ms where this takes 3.
_INDEXES = """
SELECT s.relname::text AS "table", s.indexrelname::text AS index, m.amname::text AS method,
    coalesce(s.idx_scan, 0) AS index_scans,
    c.relpages::bigint * current_setting('block_size')::bigint AS index_size,
    i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid,
    (SELECT string_agg(coalesce(a.attname::text, '(expression)'), ', ' ORDER BY k.place)
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, place)
        LEFT JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum <> 0
        WHERE k.place <= i.indnkeyatts) AS key_columns
FROM pg_stat_user_indexes s
JOIN pg_index i ON i.indexrelid = s.indexrelid
JOIN pg_class c ON c.oid = s.indexrelid
JOIN pg_am m ON m.oid = c.relam
WHERE s.relname = ANY(%s) ORDER BY s.relname, index_scans DESC, index
"""
_TABLES = """
SELECT s.relname::text AS name, c.relpages::bigint * current_setting('block_size')::bigint AS bytes,
    s.n_live_tup AS live_tuples, s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0) AS idx_scan,
    greatest(s.last_analyze, s.last_autoanalyze) AS last_analyzed
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE s.relname = ANY(%s) ORDER BY s.relname
"""


def tables_in(statement: str) -> list[str]:
    """Return the names in a statement that may be tables, each once, in the order they come in."""
    return list(dict.fromkeys(_NAMED.findall(statement)))[:TABLES]


def queryid_of(window: Window) -> int:
    """Return the statement that the page's address names. Raises Http404 when that is no queryid."""
    try:
        queryid = int(window.asked["queryid"])
    except ValueError:
        raise Http404 from None
    if not -(2**63) <= queryid < 2**63:
        raise Http404
    return queryid


def _statement(window: Window) -> Mapping[str, Any]:
    users = once(statement_rows.of_users, queryid_of(window))
    return {"users": users, "text": users[0]["query"] if users else ""}


def _tables(window: Window) -> Mapping[str, Any]:
    users = once(statement_rows.of_users, queryid_of(window))
    names = tables_in(users[0]["query"]) if users else []
    indexes = access.fetch_dicts(_INDEXES, [names])
    tables = access.fetch_dicts(_TABLES, [names])
    return {
        "tables": [
            {**table, "indexes": [i for i in indexes if i["table"] == table["name"]]}
            for table in tables
        ]
    }


def _found(window: Window) -> Statement:
    """Return the statement as it was measured: to read it is to read all texts that there are.

    Raises NoStatement, CannotPlan when its text is hidden.
    """
    return once(statements.find, access, queryid_of(window))


def _plan(window: Window) -> Mapping[str, Any]:
    """Have the statement planned; a sentence says why there is no plan."""
    try:
        return {"plan": plans.explain_found(_found(window))}
    except (CannotPlan, NoStatement) as error:
        return {"plan": None, "sentence": error.message}


def _issuers(window: Window) -> Mapping[str, Any]:
    try:
        found = _found(window)
    except (CannotPlan, NoStatement):
        return {"issuers": []}
    since, until = window.since, window.until
    return {"issuers": sources.issuers(found.queryid, since, until, texts=[found.text])}


PAGE = MonitoringPage(
    name="query",
    title=_("Query"),
    route="statements/<queryid>/",
    panels=(
        Panel(
            name="statement",
            title=_("Statement"),
            read=_statement,
            template="monitoring/pages/query_statement.html",
            needs=NEEDS,
            wants=WANTS,
        ),
        Panel(
            name="timeline",
            title=_("Over time"),
            read=lambda window: timelines.of_statement(queryid_of(window), window),
            template="monitoring/pages/timelines.html",
        ),
        Panel(
            name="code",
            title=_("Who issues it"),
            read=_issuers,
            template="monitoring/pages/query_code.html",
            help=_(
                "The lines of our code that send it, of this range; those of psql and of PostgreSQL itself are unknown."
            ),
            needs=NEEDS,
        ),
        Panel(
            name="plan",
            title=_("Plan"),
            read=_plan,
            template="monitoring/pages/query_plan.html",
            needs=NEEDS,
        ),
        Panel(
            name="tables",
            title=_("Tables and their indexes"),
            read=_tables,
            template="monitoring/pages/query_tables.html",
            help=_(
                "Tables that the statement names. Sizes are those of the last VACUUM or ANALYZE."
            ),
            needs=NEEDS,
        ),
    ),
)
