"""The site's processes in a run: web, two workers, two beats. Only what was started here is signalled."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos import kinds
from bench.chaos.servers import Servers, pid_of, signal_all
from bench.harness.results import ROOT
from deploy.local.files import read, tail
from deploy.local.pieces import site_trouble
from deploy.local.processes import Daemon, identify
from deploy.local.redis_server import _free_port as free_port
from deploy.local.services import Services

START_SECONDS = 30.0
POLL_SECONDS = 0.05
QUICK = ("--without-gossip", "--without-mingle", "--without-heartbeat")
BACKOFF_SECONDS = 1.0  # of the first failure; a run is short
REPUBLISH_SECONDS = 2.0


@dataclass(frozen=True)
class Piece:
    """One process with its children, started and started again from one command line."""

    name: str
    home: Path
    command: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.name, self.home, stop_signal=signal.SIGKILL, grace=3.0)

    @property
    def log(self) -> Path:
        return self.home / f"{self.name}.log"

    @property
    def pid(self) -> int:
        return pid_of(self.daemon)

    def start(self) -> None:
        self.daemon.start(
            [sys.executable, "-m", *self.command],
            log=self.log,
            environ=self.environ,
            cwd=ROOT,
            tied=True,
        )

    def stop(self) -> None:
        self.daemon.stop()

    def children(self) -> list[int]:
        return [
            int(pid) for pid in read(Path(f"/proc/{self.pid}/task/{self.pid}/children")).split()
        ]

    def everyone(self) -> list[int]:
        return [self.pid, *self.children()]


@dataclass
class Stage:
    """All processes of a run. `app` and `wsgi` are modules: the tests bring their own."""

    home: Path
    servers: Servers
    services: Services
    lease: int
    app: str = "bench.chaos.app"
    wsgi: str = "bench.chaos.wsgi"
    extra: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    pieces: dict[str, Piece] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def busy(self) -> Path:
        """Return the directory where a process at work has a file (kinds.note)."""
        return self.home / "busy"

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE_URL": self.services.database_url,
            "REDIS_URL": self.services.redis_url,
            "CACHE_URL": self.services.redis_url,
            "CELERY_BROKER_URL": self.services.redis_url,
            "DB_POOL_MAX": "0",
            "LOG_DIR": "",
            "STATIC_ROOT": str(self.home / "static"),
            "WEB_CONCURRENCY": "2",
            "RATE_ORDER": "100000",
            "RATE_ORDER_ADDRESS": "0",
            "RATE_WRITE": "100000",
            "RATE_WRITE_ADDRESS": "0",
            "DB_IDLE_IN_TRANSACTION_TIMEOUT": "60000",  # else it would end zombies, not the fence
            "JOB_BACKOFF_SECONDS": str(BACKOFF_SECONDS),
            "JOB_REPUBLISH_SECONDS": str(REPUBLISH_SECONDS),
            "JOB_LEASE_MARGIN_SECONDS": "1",
            kinds.LIMIT: str(self.lease - 1),
            kinds.BUSY: str(self.busy),
            **self.extra,
        }

    def web(self) -> Piece:
        command = ("gunicorn", "-c", "deploy/local/gunicorn.conf.py", f"{self.wsgi}:application")
        return self._piece("web", command, DB_POOL_MAX="16", PORT=str(self.port))

    def node(self, name: str, *options: str) -> Piece:
        command = ("celery", "-A", self.app, "worker", "-l", "info", "-n", f"{name}@%h", *QUICK)
        return self._piece(name, (*command, *options))

    def beat(self, name: str) -> Piece:
        command = ("celery", "-A", self.app, "beat", "-l", "info", "--pidfile=")
        return self._piece(name, (*command, "--max-interval", "1"))

    def _piece(self, name: str, command: tuple[str, ...], **environ: str) -> Piece:
        return Piece(name, self.home, command, {**self.environ, **environ})

    def nodes(self) -> list[Piece]:
        return [piece for name, piece in self.pieces.items() if name.startswith("node")]

    def start(self, *pieces: Piece) -> None:
        """Start the pieces and wait until each works. Raises RuntimeError with a log's end."""
        self.busy.mkdir(exist_ok=True)
        (self.home / "static").mkdir(exist_ok=True)
        for piece in pieces:
            self.pieces[piece.name] = piece
            piece.start()
        for piece in pieces:
            self._wait_for(piece)

    def _wait_for(self, piece: Piece) -> None:
        try:
            wait_until(lambda: self.works(piece), START_SECONDS, piece.name)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{tail(piece.log)}") from None

    def works(self, piece: Piece) -> bool:
        if piece.name == "web":
            return not site_trouble(piece.environ)
        word = " ready." if piece.name.startswith("node") else "beat: Starting..."
        return word in read(piece.log)

    def stop(self, names: Iterable[str] = ()) -> None:
        """End the pieces named, or all."""
        for name in list(names) or list(self.pieces):
            self.pieces.pop(name).stop()

    def at_work(self, piece: Piece) -> list[int]:
        """Return the children of a worker that are in the middle of a job of ours."""
        return [pid for pid in piece.children() if (self.busy / str(pid)).exists()]

    @contextmanager
    def torn_down(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.stop()


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once it is so. Raises RuntimeError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


def kill(pids: list[int]) -> None:
    """Kill processes and return when they are gone."""
    signal_all(pids, signal.SIGKILL)
    deadline = time.monotonic() + START_SECONDS
    while any(identify(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
