"""All about one statement: its text, its figures, its tables and their indexes."""

import re
from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages import statement_rows
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.pages.statements import NEEDS, WANTS

TABLES = 20  # of a statement, at most
# The name after the words that a table follows: schema or none, quoted or not.
_NAMED = re.compile(
    r'\b(?:from|join|update|into|only|table|on)\s+(?:only\s+)?(?:"?\w+"?\.)?"?([a-z_]\w*)"?',
    re.IGNORECASE,
)
_INDEXES = """
SELECT "table", index, key_columns, method, index_scans, index_size, is_unique, is_valid
FROM index_usage_stats WHERE "table" = ANY(%s) ORDER BY "table", index_scans DESC, index
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
    users = statement_rows.of_users(queryid_of(window))
    return {"users": users, "text": users[0]["query"] if users else ""}


def _tables(window: Window) -> Mapping[str, Any]:
    users = statement_rows.of_users(queryid_of(window))
    names = tables_in(users[0]["query"]) if users else []
    indexes = access.fetch_dicts(_INDEXES, [names], timeout_ms=timeout_ms())
    tables = access.fetch_dicts(_TABLES, [names], timeout_ms=timeout_ms())
    return {
        "tables": [
            {**table, "indexes": [i for i in indexes if i["table"] == table["name"]]}
            for table in tables
        ]
    }


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
