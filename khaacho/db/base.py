"""Connections that are looked at before they are used: is there a word from the server, or its goodbye?

Nobody speaks on an idle connection. When the server restarts, ends the session or goes away, its socket
becomes readable; while it is silent, it stands. Asking `SELECT 1` instead is a round trip for each
request, a sixth of a list's CPU (docs/adr/0021).
"""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


def is_at_rest(connection: Any) -> bool:
    """Whether no transaction is open and nothing has come since the last answer. No round trip."""
    if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
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
