"""The one place that has statements planned: never run, in a transaction that can write nothing.

A text comes from PostgreSQL's own statistics, never from a person, and is first prepared by the extended
protocol, which refuses whatever is not exactly one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES. Then its
generic plan is asked for. The transaction is READ ONLY and always rolled back.

PostgreSQL's own message is never shown, kept or logged: planning folds constants, so that a cast or a
function that is declared immutable may put a row's value into it (`invalid input syntax for type integer:
"…"`). Each failure becomes one of the sentences below, chosen by SQLSTATE alone.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import Error, connections
from django.utils.translation import gettext as _

from khaacho.exceptions import Refused
from monitoring.advice import texts
from monitoring.database import access

NAME = "khaacho_plan"
LOCK_MS = 300
STATEMENT_MS = 2000
GENERIC_PLAN_SINCE = 16_00_00  # the version of PostgreSQL whose EXPLAIN knows GENERIC_PLAN


class CannotPlan(Refused):
    """This statement cannot be planned."""

    code = "cannot_plan"


def _sentence(state: str | None) -> str:
    """Return what to say of a failure with this SQLSTATE; nothing in it is PostgreSQL's."""
    if state == "42601":
        return _("Its text is cut off, or cannot be read again once its constants were taken out.")
    if state in ("42P01", "42703", "3F000", "42704"):
        return _("It speaks of a table, column or type that is no longer there.")
    if state == "42883":
        return _(
            "It uses a function that is no longer there, or the types of its parameters cannot be told from"
            " its text."
        )
    if state in ("42P18", "42P08", "42804", "42725"):
        return _("The types of its parameters cannot be told from its text.")
    if state == "42501":
        return _(
            "The role that watches may not read its tables. As a superuser:"
            " GRANT pg_read_all_data TO the role that MONITOR_DATABASE_URL names."
        )
    if state == "55P03":
        return _("A table that it reads is locked just now. Try again in a moment.")
    if state == "57014":
        return _("Planning it took longer than is allowed here.")
    return _("PostgreSQL refuses to plan it.")


class Planner:
    """A session for planning, good for as long as its transaction (`planning()`)."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._has_generic_plan = connection.info.server_version >= GENERIC_PLAN_SINCE
        self._is_prepared = False

    def fetch(self, statement: str, params: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement of ours."""
        return list(psycopg.ClientCursor(self._connection).execute(statement, params).fetchall())

    def allow(self, milliseconds: int) -> None:
        """Let each further statement take at most so long."""
        self.fetch("SELECT set_config('statement_timeout', %s, true)", [str(max(1, milliseconds))])

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Undo what fails within, so that the session goes on; the error is raised as it is."""
        with self._connection.transaction():
            yield

    def plan(self, text: str, rows_per_call: float | None = None) -> dict[str, Any]:
        """Return the generic plan of a statement as EXPLAIN (VERBOSE, FORMAT JSON) has it.

        Raises CannotPlan with a sentence for people, after which the session can go on.
        """
        kind = texts.first_word(text)
        if not kind or kind not in texts.PLANNED:
            raise CannotPlan(_("Only SELECT, INSERT, UPDATE, DELETE, MERGE and WITH have a plan."))
        if texts.is_several(text):
            raise CannotPlan(_("It is more than one statement."))
        state = ""
        try:
            with self.trying():
                return self._plan(texts.plannable(text, rows_per_call))
        except psycopg.OperationalError as error:
            if self._connection.closed:
                raise
            state = error.sqlstate or ""
        except psycopg.Error as error:
            state = error.sqlstate or ""
        finally:
            self._forget()
        raise CannotPlan(_sentence(state))  # outside: the error and its message go no further

    def _plan(self, text: str) -> dict[str, Any]:
        cursor = psycopg.Cursor(self._connection)
        # A binary result needs the extended protocol, by which several statements are a syntax error.
        cursor.execute(f"PREPARE {NAME} AS {text}".encode(), binary=True, prepare=False)
        self._is_prepared = True
        plan: dict[str, Any] = self._explained(text)[0]["Plan"]
        return plan

    def _forget(self) -> None:
        """Forget what was prepared, which outlives the savepoint."""
        if self._is_prepared and not self._connection.closed:
            self._is_prepared = False
            self._run(f"DEALLOCATE {NAME}")

    def _explained(self, text: str) -> Any:
        if self._has_generic_plan:
            rows = self._run(f"EXPLAIN (GENERIC_PLAN, VERBOSE, FORMAT JSON) {text}")
        else:
            [(count,)] = self.fetch(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = %s",
                [NAME],
            )
            given = f"({', '.join(['NULL'] * count)})" if count else ""
            rows = self._run(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {NAME}{given}")
        [(answer,)] = rows
        return json.loads(answer) if isinstance(answer, str) else answer

    def _run(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = psycopg.ClientCursor(self._connection)
        cursor.execute(statement.encode())
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def planning(statement_ms: int = STATEMENT_MS) -> Iterator[Planner]:
    """Give a session for planning, as the alias `monitor` but on a connection of its own: read only, short
    of patience, rolled back and closed.

    Raises Unavailable when the database does not let it in, CannotPlan when it fails otherwise.
    """
    ours = connections[access.ALIAS].copy()
    try:
        try:
            ours.ensure_connection()
        except Error as error:
            raise access.as_unavailable(error) from error
        connection = ours.connection
        assert connection is not None
        try:
            connection.execute("BEGIN READ ONLY")
            _prepare_session(connection, statement_ms)
            yield Planner(connection)
        except psycopg.Error as error:
            state = error.sqlstate
        else:
            return
        raise CannotPlan(_sentence(state))
    finally:
        ours.close()  # which rolls back


def _prepare_session(connection: psycopg.Connection[Any], statement_ms: int) -> None:
    """Set the limits, and keep what is planned out of the statistics.

    With `track = top` and `track_utility = on`, PostgreSQL's defaults, EXPLAIN counts nothing for what it
    explains. Otherwise each planning would be a call of no time: a superuser's session tracks nothing.
    """
    psycopg.ClientCursor(connection).execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),"
        " set_config('plan_cache_mode', 'force_generic_plan', true),"
        " set_config('client_min_messages', 'error', true)",
        [str(LOCK_MS), str(statement_ms)],
    )
    connection.execute(
        "SELECT set_config('pg_stat_statements.track', 'none', true)"
        " WHERE current_setting('is_superuser') = 'on'"
        " AND current_setting('pg_stat_statements.track', true) IS NOT NULL"
    )
