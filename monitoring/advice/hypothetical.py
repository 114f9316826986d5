"""Indexes that only the planner believes in, by HypoPG: nothing is built, nothing is written.

They live in the session, not in the transaction: `believing` forgets them in any case.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from monitoring.advice.candidates import Candidate
from monitoring.advice.planning import Planner
from monitoring.advice.texts import quoted


class Hypotheses:
    """HypoPG in one session."""

    def __init__(self, planner: Planner, schema: str) -> None:
        self._planner = planner
        self._schema = quoted(schema)

    def suppose(self, candidate: Candidate) -> int | None:
        """Let the planner believe in an index; return its number, or None when there cannot be one."""
        try:
            with self._planner.trying():
                [(number,)] = self._planner.fetch(
                    f"SELECT indexrelid FROM {self._schema}.hypopg_create_index(%s)",
                    [f"CREATE INDEX ON {candidate.table_sql} {candidate.definition}"],
                )
        except psycopg.errors.QueryCanceled:
            raise
        except psycopg.Error:  # a type without an order, a table that is gone or locked
            return None
        return int(number)

    def size(self, number: int) -> int:
        """Return the estimated bytes of an index."""
        [(size,)] = self._planner.fetch(f"SELECT {self._schema}.hypopg_relation_size(%s)", [number])
        return int(size)

    def forget(self, number: int) -> None:
        self._planner.fetch(f"SELECT {self._schema}.hypopg_drop_index(%s)", [number])

    def forget_all(self) -> None:
        self._planner.fetch(f"SELECT {self._schema}.hypopg_reset()")


@contextmanager
def believing(planner: Planner) -> Iterator[Hypotheses | None]:
    """Give hypothetical indexes to a session, or None where HypoPG is not installed or cannot be loaded."""
    found = planner.fetch(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'hypopg'"
    )
    if not found:
        yield None
        return
    hypotheses = Hypotheses(planner, found[0][0])
    try:
        with planner.trying():
            hypotheses.forget_all()
    except psycopg.Error:  # the package was removed, or the role may not use it
        yield None
        return
    try:
        yield hypotheses
    finally:
        with suppress(psycopg.Error):
            hypotheses.forget_all()
