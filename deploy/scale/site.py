"""The site's processes: two web processes, workers by queue, beat. Any of them may be killed and started again."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from celery import Celery
from kombu.exceptions import OperationalError

from deploy.local import environment
from deploy.local.files import SetupError, locked, read, say, tail
from deploy.local.pieces import Piece, code_digest, no_trouble, site_trouble
from deploy.local.processes import Daemon, is_alive, marked, recall, send, wait_until
from deploy.local.services import Services
from deploy.scale.layout import ScaleLayout, keep_port
from deploy.scale.servers import Addresses

READY_SECONDS = 60.0
HEALTHY_SECONDS = 10.0  # for what runs already
WEB = (1, 2)
# Those of compose.yaml and deploy/systemd: people wait for the first, orders for the second, nobody for the third.
QUEUES = {
    "messages": "whatsapp",
    "trade": "order_processing,order_routing,credit_score",
    "reports": "reports,payment_reminders",
}
CELERY = ("celery", "-A", "khaacho")
NO_POOL = {"DB_POOL_MAX": "0"}
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")  # docs/jobs.md


def worker_trouble(environ: Mapping[str, str]) -> str:
    """Return why this very worker does not answer through the broker within a second, or nothing."""
    with Celery("ping", broker=environ["CELERY_BROKER_URL"], set_as_current=False) as client:
        try:
            answers = client.control.ping(destination=[environ["NODE"]], timeout=1.0)
        except (OSError, OperationalError) as error:
            return f"the broker does not answer: {error}"
    return "" if answers else "it does not answer a ping"


def web_port(layout: ScaleLayout, number: int) -> int:
    """Return the port of web process 1 or 2."""
    daemon = Daemon(f"web-{number}", layout.run)
    return keep_port(layout, daemon.name, lambda: daemon.running)


def _web(layout: ScaleLayout, number: int) -> Piece:
    port = str(web_port(layout, number))
    command = ("gunicorn", "-c", "deploy/gunicorn.conf.py", "khaacho.wsgi:application")
    extra = {"PORT": port, "WEB_CONCURRENCY": "1", "DB_POOL_MIN": "2", "DB_POOL_MAX": "8"}
    # nginx is told by rolling.sh before SIGTERM comes, so a short announcement is enough.
    return Piece(f"web-{number}", command, site_trouble, {**extra, "WEB_DRAIN_SECONDS": "0.2"})


def _worker(name: str) -> Piece:
    node = f"{name}@khaacho-scale"
    command = (*CELERY, "worker", "-l", "info", "-n", node, "-Q", QUEUES[name], "-c", "1", *ALONE)
    return Piece(f"worker-{name}", command, worker_trouble, {**NO_POOL, "NODE": node})


def pieces(layout: ScaleLayout) -> dict[str, Piece]:
    """Return every process of the site by its name."""
    beat = Piece("beat", (*CELERY, "beat", "--pidfile=", "-l", "info"), no_trouble, NO_POOL)
    found = [*(_web(layout, n) for n in WEB), *(_worker(name) for name in QUEUES), beat]
    return {piece.name: piece for piece in found}


@dataclass(frozen=True)
class Site:
    """The processes on top of servers that are up, of a release of deploy/scale/releases."""

    layout: ScaleLayout
    addresses: Addresses
    release: str = "this"

    @property
    def direct(self) -> Services:
        """Return the servers as commands reach them: around PgBouncer."""
        return Services(self.addresses.primary, self.addresses.queues)

    def commands(self) -> dict[str, str]:
        """Return the environment of manage.py."""
        return {
            **environment.demo(self.layout, self.direct),
            "DATABASE_DIRECT_URL": self.addresses.primary,
            "MONITOR_DATABASE_URL": self.addresses.primary,
            "CELERY_BROKER_URL": self.addresses.queues,
            "CACHE_URL": self.addresses.cache,
            "STATIC_ROOT": str(self.layout.static),
            "DJANGO_SETTINGS_MODULE": f"deploy.scale.releases.{self.release}",
        }

    def environ(self, piece: Piece) -> dict[str, str]:
        """Return the environment of a process: PgBouncer for the trade, the replica for lists."""
        return {
            **self.commands(),
            "DATABASE_URL": self.addresses.pooled,
            "DATABASE_REPLICA_URL": self.addresses.replica,
            "DB_PGBOUNCER": "true",
            "DB_SESSION_TIMEOUTS": "false",
            "TRUSTED_PROXIES": "1",
            "JOB_LEASE_MARGIN_SECONDS": "5",
            **piece.extra,
        }

    def start(self) -> None:
        """Start what does not run as it should, and wait until all works. Raises SetupError."""
        code = code_digest(self.layout.checkout)
        missing = [
            piece for piece in pieces(self.layout).values() if not self._is_well(piece, code)
        ]
        if not missing:
            say("already running, and healthy")
        for piece in missing:
            say(f"starting {piece.name}")
            piece.start(self.layout, self.environ(piece), code)
        for piece in missing:
            self.wait(piece)

    def others(self) -> list[str]:
        """Return the processes that do not run, or not from this code and release."""
        code = code_digest(self.layout.checkout)
        return [
            name
            for name, piece in pieces(self.layout).items()
            if not piece.is_current(self.layout, self.environ(piece), code)
        ]

    def _is_well(self, piece: Piece, code: str) -> bool:
        environ = self.environ(piece)
        return piece.is_current(self.layout, environ, code) and not piece.wait(
            self.layout, environ, HEALTHY_SECONDS
        )

    def wait(self, piece: Piece) -> None:
        """Wait until the process works. Raises SetupError with its log's end."""
        if trouble := piece.wait(self.layout, self.environ(piece), READY_SECONDS):
            log = tail(piece.log(self.layout))
            raise SetupError(f"{piece.name} did not get ready: {trouble}\nIts log ends:\n{log}")

    def restart(self, name: str) -> None:
        """Stop a process as systemd does, by SIGTERM and patience, and start it again."""
        piece = pieces(self.layout)[name]
        Daemon(name, self.layout.run, stop_signal=signal.SIGTERM, grace=40.0).stop()
        piece.start(self.layout, self.environ(piece), code_digest(self.layout.checkout))
        self.wait(piece)

    def start_again(self, name: str) -> None:
        """Start a process that was killed, and wait until it works. Raises SetupError."""
        piece = pieces(self.layout)[name]
        piece.start(self.layout, self.environ(piece), code_digest(self.layout.checkout))
        self.wait(piece)


@contextmanager
def held(layout: ScaleLayout, name: str) -> Iterator[None]:
    """Let nobody else kill, start or restart this process meanwhile."""
    with locked(layout.run / f"{name}.lock", f"{name} is just being killed or started: waiting"):
        yield


def restart(layout: ScaleLayout, release: str, name: str) -> None:
    """Restart one process of a running topology (rolling.sh and release.sh call this). Raises SetupError."""
    known = json.loads(read(layout.logins) or "{}").get("addresses")
    if not known:
        raise SetupError("no scaled demo is running: make scale-demo")
    with held(layout, name):
        Site(layout, Addresses(**known), release).restart(name)


def stop(layout: ScaleLayout) -> bool:
    """End every process of the site; return whether any ran."""
    # All at once first: each may take its time to end.
    daemons = [piece.daemon(layout) for piece in pieces(layout).values()]
    for daemon in daemons:
        leader = recall(daemon.pid_file)
        if leader and is_alive(leader):
            send([leader.pid], signal.SIGTERM)
    stopped = [daemon.stop() for daemon in daemons]
    return any(stopped)


def kill(daemon: Daemon) -> list[int]:
    """End a process and its children by SIGKILL, as a machine that loses its power; return who they were.

    Only what this checkout started has its mark or is recorded. Raises SetupError when it did not run.
    """
    leader = recall(daemon.pid_file)
    if leader is None or not is_alive(leader):
        raise SetupError(f"{daemon.name} was to be killed and does not run")
    victims = sorted({leader.pid, *marked(daemon.mark)} - {os.getpid()})
    send(victims, signal.SIGKILL)
    wait_until(lambda: not is_alive(leader) and not marked(daemon.mark), 10.0)
    return victims
