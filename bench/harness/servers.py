"""Web and worker processes for a measurement: started by us, watched by id, ended by id."""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from django.conf import settings

from bench.harness.results import ROOT
from deploy.local.files import tail
from deploy.local.pieces import site_trouble, worker_trouble
from deploy.local.processes import Daemon, recall

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 40.0


@dataclass(frozen=True)
class Memory:
    """Of one process, in MB: all that is resident, and its fair share of what is shared."""

    rss: float
    pss: float


@dataclass(frozen=True)
class Server:
    """A leader and the processes that it forked; `port` is where it listens, 0 for a worker."""

    leader: int
    port: int = 0

    def children(self) -> list[int]:
        """Return the ids of the processes that do the work."""
        text = Path(f"/proc/{self.leader}/task/{self.leader}/children").read_text()
        return [int(pid) for pid in text.split()]

    def cpu_seconds(self) -> float:
        """Return the CPU, user and system, that the working processes have used so far."""
        return sum(_ticks(pid) for pid in self.children()) / TICKS

    def all_cpu_seconds(self) -> float:
        """Return the CPU that the leader and the working processes have used so far."""
        return self.cpu_seconds() + _ticks(self.leader) / TICKS

    def memory(self) -> list[Memory]:
        """Return the memory of each working process."""
        return [_memory(pid) for pid in self.children()]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory(pid: int) -> Memory:
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0]) / 1024
    return Memory(sizes["Rss"], sizes["Pss"])


@contextmanager
def web(url: str, *options: str) -> Iterator[Server]:
    """Serve the site and the reference by Gunicorn as the demo is served; processes live for the run."""
    port = _free_port()
    command = ["gunicorn", "-c", "deploy/local/gunicorn.conf.py", "--max-requests", "0"]
    environ = {**_environ(url), "PORT": str(port)}
    environ.pop("DB_POOL_MAX", None)  # web processes pool, as they do in earnest
    with _running(
        "web", [*command, *options, "bench.reference.wsgi:application"], environ, site_trouble
    ) as pid:
        yield Server(pid, port)


@contextmanager
def worker(url: str, *, app: str = "khaacho", processes: int = 2) -> Iterator[Server]:
    """Run a Celery worker of so many processes on every queue."""
    command = [
        "celery",
        "-A",
        app,
        "worker",
        "-c",
        str(processes),
        "--prefetch-multiplier",
        "1",
        "-l",
        "warning",
    ]
    environ = {**_environ(url), "DB_POOL_MAX": "0"}
    with _running("worker", command, environ, worker_trouble) as pid:
        yield Server(pid)


def broker() -> redis.Redis:
    """Return a client of the database of Redis that the workers of a measurement listen to."""
    return redis.Redis.from_url(settings.CELERY_BROKER_URL)


def _environ(url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "khaacho.settings",
        "RATE_LIMITED": "false",  # as the reference, which counts no requests
        "LOG_DIR": "",
        "LOG_LEVEL": "WARNING",
    }


@contextmanager
def _running(
    name: str,
    command: list[str],
    environ: Mapping[str, str],
    trouble: Callable[[Mapping[str, str]], str],
) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        daemon, log = Daemon(name, Path(folder)), Path(folder) / f"{name}.log"
        try:
            daemon.start(
                [sys.executable, "-m", *command], log=log, environ=environ, cwd=ROOT, tied=True
            )
            wrong, deadline = trouble(environ), time.monotonic() + START_SECONDS
            while wrong:
                if not daemon.running or time.monotonic() > deadline:
                    raise RuntimeError(f"{name}: {wrong}\n{tail(log)}")
                time.sleep(0.1)
                wrong = trouble(environ)
            leader = recall(daemon.pid_file)
            assert leader
            yield leader.pid
        finally:
            daemon.stop()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
