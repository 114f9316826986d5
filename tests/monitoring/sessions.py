"""Real sessions beside the test's own: they hold locks, wait for each other, and are ended."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection

from tests.processes import wait_for


class Session:
    """A connection whose statements may run in a thread of their own."""

    def __init__(self, name: str) -> None:
        connection.ensure_connection()
        params = connection.get_connection_params()
        self.raw: psycopg.Connection[Any] = psycopg.connect(**params)
        self.raw.execute("SELECT set_config('application_name', %s, false)", [name])
        self.raw.execute("SET lock_timeout = 0")
        self.raw.execute("SET idle_in_transaction_session_timeout = 0")
        self.start = self.raw.execute(
            "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()[0]
        self.raw.commit()
        self.pid = self.raw.info.backend_pid
        self.outcome = ""
        self.thread: threading.Thread | None = None

    def do(self, statement: str) -> None:
        self.raw.execute(statement)

    def begin(self, statement: str) -> None:
        """Let a statement run in a thread; `outcome` is then `ok` or the error's class."""

        def run() -> None:
            try:
                self.raw.execute(statement)
                self.outcome = "ok"
            except psycopg.Error as error:
                self.outcome = type(error).__name__

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def join(self) -> str:
        assert self.thread is not None
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.outcome

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.raw.cancel()
        if self.thread is not None:
            self.thread.join(20)
        with contextlib.suppress(psycopg.Error):
            self.raw.close()


def state_of(pid: int) -> tuple[Any, ...] | None:
    """Return (state, wait_event_type) of a session, or None when it is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT state, wait_event_type FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone()


@contextlib.contextmanager
def sessions(*names: str) -> Iterator[list[Session]]:
    opened: list[Session] = []
    try:
        for name in names:
            opened.append(Session(name))  # noqa: PERF401 - those opened are closed when the next fails
        yield opened
    finally:
        for each in reversed(opened):
            each.close()


@contextlib.contextmanager
def chain(*names: str, root_runs: str = "") -> Iterator[list[Session]]:
    """Open sessions each of which waits for a row that the one before has locked.

    The first stands idle in its transaction, or runs `root_runs`.
    """
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS chain_of_locks")
        cursor.execute("CREATE TABLE chain_of_locks (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
        cursor.execute("INSERT INTO chain_of_locks SELECT generate_series(1, 20)")
    try:
        with sessions(*names) as links:
            for number, link in enumerate(links):
                link.do(f"UPDATE chain_of_locks SET n = 1 WHERE id = {number + 1}")
                if number:
                    link.begin(f"UPDATE chain_of_locks SET n = 1 WHERE id = {number}")
                    wait_for(lambda link=link: state_of(link.pid) == ("active", "Lock"))
            if root_runs:
                links[0].begin(root_runs)
                wait_for(lambda: state_of(links[0].pid)[0] == "active")
            yield links
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS chain_of_locks")
