"""The demo's own processes: web, worker and beat."""

import hashlib
import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError

from deploy.local.environment import PYTHON
from deploy.local.files import Layout
from deploy.local.processes import Daemon

SETTINGS = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "SECRET_KEY",
    "WHATSAPP_APP_SECRETS",
    "RATE_LIMITED",
    "DATABASE_REPLICA_URL",
    "PORT",
    "DJANGO_SETTINGS_MODULE",
    "SCALE_JOB_SECONDS",
)
CODE_SUFFIXES = {".py", ".html", ".sql", ".css", ".js"}
NOT_SERVED = {"var", "tests", "bench", "docs", "node_modules"}


def site_trouble(environ: Mapping[str, str]) -> str:
    """Return why the site cannot serve requests, as /readyz tells it, or nothing."""
    with closing(http.client.HTTPConnection("127.0.0.1", int(environ["PORT"]), timeout=5)) as site:
        try:
            site.request("GET", "/readyz")
            answer = site.getresponse()
            if answer.status == HTTPStatus.OK:
                return ""
            return f"/readyz answers {answer.status} {answer.read(500).decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            return f"/readyz does not answer: {error}"


def worker_trouble(environ: Mapping[str, str]) -> str:
    """Return why no Celery worker replies through the broker within a second, or nothing."""
    broker = environ.get("CELERY_BROKER_URL") or environ["REDIS_URL"]
    with Celery("ping", broker=broker, set_as_current=False) as client:
        try:
            return "" if client.control.ping(timeout=1.0) else "it does not answer a ping"
        except (OSError, OperationalError) as error:
            return f"the broker does not answer: {error}"


def no_trouble(environ: Mapping[str, str]) -> str:
    """Return nothing: of a process that nobody can ask, living is all there is to see."""
    return ""


@dataclass(frozen=True)
class Piece:
    """One process of the demo: how it is started, and how it shows that it works."""

    name: str
    module: tuple[str, ...]
    trouble: Callable[[Mapping[str, str]], str] = no_trouble
    extra: Mapping[str, str] = field(default_factory=dict)

    def daemon(self, layout: Layout) -> Daemon:
        """Return the process, running or not."""
        return Daemon(self.name, layout.run, stop_signal=signal.SIGTERM, grace=20.0)

    def log(self, layout: Layout) -> Path:
        """Return where it writes what it has to say."""
        return layout.logs / f"{self.name}.log"

    def is_current(self, layout: Layout, environ: Mapping[str, str], code: str) -> bool:
        """Return whether it runs, from this code and with these settings."""
        daemon = self.daemon(layout)
        return daemon.running and daemon.fingerprint == self._fingerprint(environ, code)

    def wait(self, layout: Layout, environ: Mapping[str, str], seconds: float) -> str:
        """Wait until it works; return what is still wrong when it ends or the time is up."""
        daemon, deadline = self.daemon(layout), time.monotonic() + seconds
        while daemon.running:
            trouble = self.trouble(environ)
            if not trouble or time.monotonic() > deadline:
                return trouble
            time.sleep(0.1)
        return "it ended"

    def start(self, layout: Layout, environ: Mapping[str, str], code: str) -> None:
        """Start it anew, ending what is left of an earlier one."""
        daemon = self.daemon(layout)
        daemon.stop()
        daemon.start(
            [PYTHON, "-m", *self.module],
            log=self.log(layout),
            environ={**environ, **self.extra},
            cwd=layout.checkout,
            fingerprint=self._fingerprint(environ, code),
        )

    def _fingerprint(self, environ: Mapping[str, str], code: str) -> str:
        known = [self.module, {key: environ.get(key) for key in SETTINGS}, code]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()


# Celery's fixup closes a pool after every task, so these two use plain connections. What they serve
# and where the schedules are stands in the settings: every queue, the scheduler.
NO_POOL = {"DB_POOL_MAX": "0"}
CELERY = ("celery", "-A", "khaacho")
PIECES = (
    WEB := Piece(
        "web",
        ("gunicorn", "-c", "deploy/local/gunicorn.conf.py", "khaacho.wsgi:application"),
        site_trouble,
    ),
    WORKER := Piece(
        "worker",
        (*CELERY, "worker", "-c", "2", "--prefetch-multiplier", "1", "-l", "info"),
        worker_trouble,
        NO_POOL,
    ),
    BEAT := Piece("beat", (*CELERY, "beat", "--pidfile=", "-l", "info"), extra=NO_POOL),
)


def code_digest(checkout: Path) -> str:
    """Return what changes when a file that the pieces read is edited."""
    seen = hashlib.sha256()
    for path in sorted(_code_files(checkout)):
        status = path.stat()
        seen.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return seen.hexdigest()


def _code_files(checkout: Path) -> Iterator[Path]:
    for directory in checkout.iterdir():
        hidden = directory.name.startswith(".")
        if directory.is_dir() and not hidden and directory.name not in NOT_SERVED:
            yield from (p for p in directory.rglob("*") if p.suffix in CODE_SUFFIXES)
