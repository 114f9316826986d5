"""Real servers and processes for tests, each on a free port, each ended by the test that started it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(happened: Callable[[], object], *, seconds: float = 15, what: str = "") -> None:
    """Return once `happened()` is true; raise TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(what or getattr(happened, "__name__", "condition"))
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Return a process's children, also those that have ended and that it has not yet seen off."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


@contextlib.contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """Stop a process and its children, as a frozen machine would.

    The parent is stopped first and goes on last: as long as it stands, none of its children can vanish.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: _is_stopped(pid), what="the process to stand still")
    stopped = children(pid)
    for child in stopped:
        os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in [*stopped, pid]:
            os.kill(each, signal.SIGCONT)


def list_of(queue: str) -> str:
    """Return the key of Redis under which Celery keeps a queue's pointers of ordinary priority."""
    return f"{queue}\x06\x16{settings.JOB_PRIORITY_STEPS[1]}"


@dataclass
class RedisServer:
    """A redis-server that a test may freeze, stop and start again on the same port."""

    port: int
    password: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=1)

    def start(self, *extra: str) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        options = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", "/tmp"]
        # Not "dump.rdb": a server loads what lies there, and what lies in /tmp is somebody else's.
        options += ["--dbfilename", f"khaacho-{self.port}.rdb"]
        if self.password:
            options += ["--requirepass", self.password]
        self.process = subprocess.Popen([*command, *options, *extra], stdout=subprocess.DEVNULL)
        wait_for(self._answers, what="redis-server")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), self.client as client:
            return bool(client.ping())
        return False

    def stop(self) -> None:
        if self.process:
            self.thaw()
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(password: str = "") -> Iterator[RedisServer]:
    server = RedisServer(free_port(), password)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def environment(**extra: str) -> dict[str, str]:
    """Return the environment with which a process works on this test run's database and Redis."""
    database = connection.settings_dict
    parts = {
        "dbname": database["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "host": database["HOST"],
        "port": database["PORT"],
    }
    return {
        **os.environ,
        "DATABASE_URL": " ".join(f"{k}='{v}'" for k, v in parts.items() if v),
        "REDIS_URL": settings.REDIS_URL,
        "CACHE_URL": settings.CACHE_URL,
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONPATH": str(ROOT),
        **extra,
    }


@contextlib.contextmanager
def process(
    *arguments: str, log: Path | None = None, **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python *arguments` in a session of its own; end it and its children on leaving."""
    with (log or Path(os.devnull)).open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment(**env),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()
