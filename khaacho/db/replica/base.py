"""Connections to a server that may hang: what does not answer in time is hung up on.

PostgreSQL's own timeouts end what a living server does. One that is stopped, or whose machine is gone without
a word, keeps its clients waiting for as long as TCP likes. So each wait on the socket ends here.
"""

from typing import Any, TypeVar

import psycopg
from django.conf import settings
from psycopg.pq import ConnStatus, TransactionStatus

from khaacho.db import base

T = TypeVar("T")

SPARE_SECONDS = (
    0.5  # over REPLICA_TIMEOUT, so that a living server says itself that a statement is too slow
)


class Impatient(psycopg.Connection[Any]):
    """A connection that raises OperationalError, and is closed, when a wait takes over `patience` seconds.

    The default is REPLICA_TIMEOUT and a little more.
    """

    patience: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        own = settings.REPLICA_TIMEOUT / 1000 + SPARE_SECONDS
        try:
            return super().wait(gen, interval, timeout or self.patience or own)
        except psycopg.OperationalError:
            if self._is_left_waiting():
                self.pgconn.finish()
            raise

    def _is_left_waiting(self) -> bool:
        is_open = self.pgconn.status == ConnStatus.OK
        return is_open and self.pgconn.transaction_status == TransactionStatus.ACTIVE


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, settings_dict: dict[str, Any], alias: str = "replica") -> None:
        pool = settings_dict["OPTIONS"].get("pool")
        if pool:
            pool["connection_class"] = Impatient
        super().__init__(settings_dict, alias)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.pool:
            return super().get_new_connection(conn_params)
        self.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return Impatient.connect(**conn_params)
