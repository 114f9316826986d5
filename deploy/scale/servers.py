"""The servers of the topology: two PostgreSQL, PgBouncer, two Redis, nginx; none of them as root."""

import hashlib
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from deploy.local import postgres, redis_server
from deploy.local.accounts import Account, give, make_home, server_account
from deploy.local.files import SetupError, tail
from deploy.local.processes import Daemon, wait_until
from deploy.scale import databases, programs, templates
from deploy.scale.layout import ScaleLayout, keep_port, kept_secret

ENVIRON = {"PATH": "/usr/bin:/bin:/usr/sbin", "LC_ALL": "C.UTF-8"}
READY_SECONDS = 20.0
REDIS = ("queues", "cache")


@dataclass(frozen=True)
class Addresses:
    """Where everything is; `pooled` is the primary through PgBouncer."""

    primary: str
    replica: str
    pooled: str
    queues: str
    cache: str
    edge: str


def pgbouncer_daemon(layout: ScaleLayout) -> Daemon:
    """Return PgBouncer, running or not; SIGINT lets transactions end."""
    home = layout.servers / "pgbouncer"
    return Daemon("pgbouncer", home, stop_signal=signal.SIGINT, grace=5.0)


def nginx_daemon(layout: ScaleLayout) -> Daemon:
    """Return nginx, running or not."""
    return Daemon("nginx", layout.servers / "nginx", stop_signal=signal.SIGTERM, grace=10.0)


def redis_daemon(layout: ScaleLayout, name: str) -> Daemon:
    """Return the Redis of this name, `queues` or `cache`."""
    return Daemon(f"redis-{name}", layout.servers / name, stop_signal=signal.SIGTERM, grace=10.0)


def start_all(layout: ScaleLayout, web_ports: Mapping[int, int], port: int) -> Addresses:
    """Bring every server up that is not, and return where they are. Raises SetupError.

    `web_ports` are those of web processes 1 and 2; `port` is nginx's, 0 for one of its own choice.
    """
    binaries = postgres.find_or_install()
    redis = redis_server.find_or_install()
    pooler, edge = programs.obtain("pgbouncer"), programs.obtain("nginx")
    account = server_account(layout.servers)
    make_home(layout.servers, account)
    for place in (layout.static, layout.draining):
        place.mkdir(exist_ok=True)
    primary = databases.start_primary(layout, binaries, account)
    return Addresses(
        primary=primary,
        replica=databases.start_replica(layout, binaries, account),
        pooled=start_pgbouncer(layout, pooler, account),
        queues=_start_redis(layout, redis, account, "queues"),
        cache=_start_redis(layout, redis, account, "cache"),
        edge=_start_nginx(layout, edge, account, web_ports, port),
    )


def stop_all(layout: ScaleLayout) -> bool:
    """End every server; return whether any ran."""
    ended = [nginx_daemon(layout).stop(), pgbouncer_daemon(layout).stop()]
    ended += [redis_daemon(layout, name).stop() for name in REDIS]
    for name in ("replica", "primary"):
        ended.append(postgres.daemon(databases.home_of(layout, name)).stop())
    return any(ended)


def start_pgbouncer(
    layout: ScaleLayout, program: Path | None = None, account: Account | None = None
) -> str:
    """Bring PgBouncer up, unless it is, and return the database's URL through it."""
    program = program or programs.obtain("pgbouncer")
    account = account or server_account(layout.servers)
    server = pgbouncer_daemon(layout)
    make_home(server.home, account)
    port = keep_port(layout, "pgbouncer", lambda: server.running)
    password = kept_secret(layout, "pgbouncer_password")
    url = f"postgresql://{postgres.SUPERUSER}:{password}@127.0.0.1:{port}/{postgres.DATABASE}"
    if not server.running:
        users = server.home / "users.txt"
        users.write_text(f'"{postgres.SUPERUSER}" "{password}"\n')
        users.chmod(0o600)
        give(users, account)
        values = {
            "DB_HOST": str(databases.home_of(layout, "primary")),
            "DB_PORT": "5432",
            "DB_NAME": postgres.DATABASE,
            "DB_USER": postgres.SUPERUSER,
            "PGBOUNCER_LISTEN": "127.0.0.1",
            "PGBOUNCER_PORT": str(port),
            "PGBOUNCER_USERS": str(users),
        }
        ini = server.home / "pgbouncer.ini"
        templates.write(templates.FILES / "pgbouncer" / "pgbouncer.ini", ini, values, account)
        log = server.home / "pgbouncer.log"
        server.start([str(program), str(ini)], log=log, environ=ENVIRON, account=account)
    _wait(server, lambda: _answers(url), server.home / "pgbouncer.log")
    return url


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=3) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def _start_redis(layout: ScaleLayout, program: Path, account: Account | None, name: str) -> str:
    server = redis_daemon(layout, name)
    make_home(server.home, account)
    password = kept_secret(layout, "redis_password")

    def answers() -> bool:
        return redis_server.answers(url)

    port = keep_port(layout, f"redis-{name}", lambda: server.running)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    if not (server.running and answers()):
        server.stop()
        conf, place = server.home / "redis.conf", server.home / f"{name}.conf"
        templates.write(templates.FILES / "redis" / f"{name}.conf", place, {}, account)
        lines = (
            f"include {place}",
            f"port {port}",
            "bind 127.0.0.1",
            f"requirepass {password}",
            f'dir "{server.home}"',
        )
        conf.write_text("\n".join(lines) + "\n")
        conf.chmod(0o600)
        give(conf, account)
        log = server.home / "redis.log"
        server.start([str(program), str(conf)], log=log, environ=ENVIRON, account=account)
    _wait(server, answers, server.home / "redis.log")
    return url


def nginx_values(layout: ScaleLayout, web_ports: Mapping[int, int], port: int) -> dict[str, str]:
    """Return what the templates are told here that differs from deploy/nginx/edge.env."""
    home = layout.servers / "nginx"
    return {
        **templates.read_values(templates.FILES / "nginx" / "edge.env"),
        "SITE_LISTEN": f"127.0.0.1:{port}",
        "WEB_1": f"127.0.0.1:{web_ports[1]}",
        "WEB_2": f"127.0.0.1:{web_ports[2]}",
        "RESOLVER": "",
        "RESOLVE": "",
        "STATIC_ROOT": str(layout.static),
        "DRAINING": str(layout.draining),
        "EDGE_RATE": "5000r/s",  # the whole market plays from one address
        "NGINX_TMP": str(home / "tmp"),
        "ACCESS_LOG": str(home / "access.log"),
        "ERROR_LOG": "stderr",
    }


def _start_nginx(
    layout: ScaleLayout,
    program: Path,
    account: Account | None,
    web_ports: Mapping[int, int],
    wanted: int,
) -> str:
    server = nginx_daemon(layout)
    make_home(server.home, account)
    port = keep_port(layout, "nginx", lambda: server.running, wanted)
    values = nginx_values(layout, web_ports, port)
    fingerprint = _digest(values)
    if not server.running or server.fingerprint != fingerprint:
        server.stop()
        place = server.home / "tmp"
        place.mkdir(exist_ok=True)
        give(place, account)
        for name in ("nginx.conf", "http.conf", "server.conf", "site.conf"):
            templates.write(templates.FILES / "nginx" / name, server.home / name, values, account)
        server.start(
            nginx_command(program, server.home),
            log=server.home / "nginx.log",
            environ=ENVIRON,
            account=account,
            fingerprint=fingerprint,
        )
    url = f"http://127.0.0.1:{port}"
    _wait(server, lambda: _edge_answers(url), server.home / "nginx.log")
    return url


def _digest(values: Mapping[str, str]) -> str:
    """Return what changes when a template or a value of it does."""
    seen = hashlib.sha256(repr(sorted(values.items())).encode())
    for path in sorted((templates.FILES / "nginx").iterdir()):
        seen.update(path.read_bytes())
    return seen.hexdigest()


def nginx_command(program: Path, home: Path) -> list[str]:
    """Return how nginx is started in the foreground from the files of `home`."""
    options = f"daemon off; pid {home}/master.pid;"
    return [
        str(program),
        "-p",
        str(home),
        "-e",
        "stderr",
        "-c",
        f"{home}/nginx.conf",
        "-g",
        options,
    ]


def _edge_answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/edgez", trust_env=False, timeout=2).text == "ok\n"
    return False


def _wait(server: Daemon, answers: Callable[[], bool], log: Path) -> None:
    wait_until(lambda: answers() or not server.running, READY_SECONDS)
    if not (server.running and answers()):
        server.stop()
        raise SetupError(f"{server.name} did not start:\n{tail(log)}")
