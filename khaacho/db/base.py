"""Connections that are looked at before they are used: is there a word from the server, or its goodbye?

Nobody speaks on an idle connection. When the server restarts, ends the session or goes away, its socket
becomes readable; while it is silent, it stands. Asking `SELECT 1` instead is a round trip for each
request, a sixth of a list's CPU (docs/adr/0021).
"""

import re
import select
from functools import cache
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from khaacho.logs import request_id

_HARMLESS = re.compile(
    r"[^A-Za-z0-9._-]"
)  # what is left out: the rest can neither end a comment nor bind


def is_at_rest(connection: Any) -> bool:
    """Whether no transaction is open and nothing has come since the last answer. No round trip."""
    if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


@cache
def _named(plain: type[Any]) -> type[Any]:
    """Return a class of cursors whose statements begin with their request's id, in a comment.

    Below whoever counts statements by their text; PostgreSQL's queryid is the same with it.
    """

    class Named(plain):  # type: ignore[misc] # whichever class Django chose
        def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            if type(query) is str and (found := request_id.get()):
                query = f"/* {_HARMLESS.sub('', found)} */ {query}"
            return super().execute(query, *args, **options)

    return Named


class DatabaseWrapper(base.DatabaseWrapper):
    def savepoint(self) -> str | None:
        """Begin a savepoint, named by its number in this transaction; None outside of one.

        Django counts them for as long as the connection lives, and adds the thread. pg_stat_statements
        before PostgreSQL 17 takes each name for another statement, until it forgets those that matter.
        """
        if not self._savepoint_allowed():  # type: ignore[attr-defined] # the stubs lack it
            return None
        self.validate_thread_sharing()
        self.savepoint_state += 1
        name = f"s{self.savepoint_state}"
        self._savepoint(name)  # type: ignore[attr-defined] # the stubs lack it
        return name

    def _set_autocommit(self, autocommit: bool) -> None:
        self.savepoint_state = 0  # a transaction begins, or has ended
        super()._set_autocommit(autocommit)  # type: ignore[misc] # the stubs lack it

    def is_usable(self) -> bool:
        """Ask the server only when it has said something, in a transaction, or when a statement failed."""
        if self.connection is None:
            return False
        if not self.errors_occurred and is_at_rest(self.connection):
            return True
        usable: bool = super().is_usable()
        return usable

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection; one of the pool that does not answer goes back, to be replaced."""
        while True:
            connection = super().get_new_connection(conn_params)
            if settings.SQL_REQUEST_IDS:
                connection.cursor_factory = _named(connection.cursor_factory)
            if not self.pool or self._answers(connection):
                return connection
            connection.close()
            self.pool.putconn(connection)

    def _answers(self, connection: Any) -> bool:
        if is_at_rest(connection):
            return True
        try:
            connection.execute("SELECT 1")
        except self.Database.Error:
            return False
        return True
