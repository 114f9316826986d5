"""A PostgreSQL and a Redis of the run's own, which may be killed, frozen and started again."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from deploy.local import postgres, redis_server
from deploy.local.accounts import make_home, server_account
from deploy.local.processes import Daemon, recall
from deploy.local.services import Services


def pid_of(daemon: Daemon) -> int:
    """Return the id of the process that was recorded. Raises LookupError when none was."""
    identity = recall(daemon.pid_file)
    if identity is None:
        raise LookupError(f"{daemon.name} was not started")
    return identity.pid


def signal_all(pids: list[int], sig: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sig)


class Servers:
    """The servers of `home`. With a `database_url` that PostgreSQL is used and left alone.

    PostgreSQL syncs every commit; Redis writes an append-only file when it is to `persist`.
    """

    def __init__(self, home: Path, *, persist: bool, database_url: str = "") -> None:
        self.home, self.persist, self.database_url = home, persist, database_url
        self.owns_postgres = not database_url
        self._binaries = postgres.find_or_install() if self.owns_postgres else None
        self._program = redis_server.find_or_install()
        self._account = server_account(home)
        make_home(home, self._account)

    def start(self) -> Services:
        self.start_postgres()
        return Services(self.database_url, self.start_redis())

    def start_postgres(self) -> None:
        """Bring PostgreSQL up; what a killed one left in memory is waited for."""
        if self._binaries:
            self.database_url = postgres.start(
                self.home, self._binaries, self._account, durable=True, tied=True
            )

    def start_redis(self) -> str:
        return redis_server.start(
            self.home,
            self._program,
            self._account,
            durable=False,
            tied=True,
            append_only=self.persist,
        )

    def end_postgres(self, sig: signal.Signals) -> None:
        """Send SIGQUIT (an immediate shutdown) or SIGKILL to the server that this run started."""
        if not self.owns_postgres:
            raise LookupError("this PostgreSQL is not ours to end")
        server = postgres.daemon(self.home)
        os.kill(pid_of(server), sig)
        while server.running:
            time.sleep(0.02)

    def end_redis(self) -> None:
        redis = redis_server.daemon(self.home)
        os.kill(pid_of(redis), signal.SIGKILL)
        while redis.running:
            time.sleep(0.02)

    def freeze_redis(self) -> None:
        os.kill(pid_of(redis_server.daemon(self.home)), signal.SIGSTOP)

    def thaw_redis(self) -> None:
        os.kill(pid_of(redis_server.daemon(self.home)), signal.SIGCONT)

    def stop(self) -> None:
        """End both, the frozen too."""
        with suppress(LookupError, ProcessLookupError):
            self.thaw_redis()
        redis_server.daemon(self.home).stop()
        if self.owns_postgres:
            postgres.daemon(self.home).stop()
