"""`make demo` and `make stop`: the whole site on this machine, again and again."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from deploy.local import environment, postgres, redis_server
from deploy.local.accounts import is_ours
from deploy.local.checks import MANAGE
from deploy.local.environment import PYTHON, SITE_KEY
from deploy.local.files import Layout, SetupError, locked, read, say, tail, write_private
from deploy.local.pieces import PIECES, WEB, code_digest
from deploy.local.processes import Daemon, is_alive, recall, record, run
from deploy.local.services import Services, bring_up, shut_down, wait_for_database, wait_for_redis

READY_SECONDS = 60.0
HEALTHY_SECONDS = 10.0  # for a site that runs already
PREPARATIONS = {
    "migrating": ("migrate", "--noinput", "-v0"),
    "setting the schedules": ("sync_schedules",),
    "setting the groups": ("sync_groups",),
}
COLLECT_STATIC = ("collectstatic", "--noinput", "-v0")


def up(layout: Layout, *, port: int, fresh: bool) -> None:
    """Bring the demo up, or what of it is missing, load its trade, play the day and verify it.

    Raises SetupError; when the site does not get ready, nothing stays running.
    """
    with locked(layout.var / "demo.lock", "another make demo is at work here: waiting for it"):
        record(_ourselves(layout).pid_file, os.getpid())
        if fresh:
            start_over(layout, os.environ)
        elif is_left_behind(layout):
            say(f"deleting what the demo of a deleted checkout left in {layout.servers}")
            start_over(layout, {})
        _refuse_taken_port(layout, port)
        try:
            services = _serve(layout, port)
        except SetupError:
            _stop(layout)
            raise
        _trade(layout, services, port)
        _report(layout)


def down(layout: Layout) -> None:
    """End everything that `up` started, an `up` that is at work included."""
    ours = recall(_ourselves(layout).pid_file)
    if ours and ours.pid != os.getpid() and is_alive(ours):
        _ourselves(layout).stop()
    say("stopped" if _stop(layout) else "nothing was running")


def play_again(layout: Layout, orders: str) -> int:
    """Play more of the day against the running demo; return the player's exit code."""
    logins = _logins(layout)
    if not WEB.daemon(layout).running or "base_url" not in logins:
        raise SetupError("no demo is running: make demo")
    services = Services(logins["database_url"], logins["redis_url"])
    extra = ("--orders", orders) if orders else ()
    return _run(layout, services, *_player(layout, logins["base_url"]), "--again", *extra)


def load(*layouts: Layout) -> int:
    """Play a trading day with ARGS against the first of the demos that runs; return its exit code."""
    for layout in layouts:
        logins = _logins(layout)
        if "base_url" in logins and _answers(logins["base_url"]):
            break
    else:
        raise SetupError("no demo is running: make demo, or make scale-demo")
    services = Services(logins["database_url"], logins["redis_url"])
    command = (PYTHON, "-m", "bench.load_day", "--base-url", logins["base_url"])
    more = shlex.split(os.environ.get("ARGS", ""))
    return _run(layout, services, *command, "--logins", str(layout.logins), *more)


def _answers(base_url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{base_url}/livez", trust_env=False, timeout=5).is_success
    return False


def follow_logs(layout: Layout) -> None:
    """Become `tail -F` on every log of the demo."""
    logs = [*layout.logs.glob("*.log"), *layout.servers.glob("*.log")]
    if not logs:
        raise SetupError("no logs yet: make demo")
    os.execvp("tail", ["tail", "-n", "20", "-F", *map(str, logs)])  # noqa: S606 - no shell needed


def start_over(layout: Layout, environ: Mapping[str, str]) -> None:
    """End the demo and delete its data; what is lost of given servers is said first."""
    _stop(layout)
    if url := environ.get("DATABASE_URL"):
        wait_for_database(url)
        empty_database(url)
    else:
        postgres.delete(layout.servers)
    if url := environ.get("REDIS_URL"):
        wait_for_redis(url)
        with redis_server.connect(url, seconds=5) as client:
            say("FRESH=1: deleting every key of the database that REDIS_URL names")
            client.flushdb()
    else:
        redis_server.delete(layout.servers)
    layout.logins.unlink(missing_ok=True)


def is_left_behind(layout: Layout) -> bool:
    """Whether the private servers, outside the checkout, are older than it: it has not made its secrets yet.

    Then nobody knows the logins of their trade.
    """
    inside = layout.servers.is_relative_to(layout.var)
    return not inside and not (layout.var / SITE_KEY).exists() and is_ours(layout.servers)


def empty_database(url: str) -> None:
    """Drop and make anew the schema public of the given database, after saying so."""
    named = conninfo_to_dict(url)
    place = f"{named.get('dbname', '')} at {named.get('host') or 'the local socket'}"
    say(f"FRESH=1: dropping everything in the schema public of {place}")
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        schema = sql.Identifier("public")
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))


def _ourselves(layout: Layout) -> Daemon:
    return Daemon("demo", layout.run)


def _stop(layout: Layout) -> bool:
    stopped = [piece.daemon(layout).stop() for piece in reversed(PIECES)]
    return any([*stopped, shut_down(layout.servers)])


def _refuse_taken_port(layout: Layout, port: int) -> None:
    """Say at once, not after minutes of loading, that the web process could not listen."""
    ours = WEB.daemon(layout).running and _logins(layout).get("base_url") == _address(port)
    if not ours and not redis_server.is_free(port):
        raise SetupError(f"port {port} is taken by another program: make demo PORT={port + 1}")


def _serve(layout: Layout, port: int) -> Services:
    """Bring servers, schema, trade and pieces up; return where the servers are."""
    services = bring_up(layout.servers, os.environ, durable=True)
    for doing, command in PREPARATIONS.items():
        _step(layout, services, doing, *MANAGE, *command)
    _step(layout, services, "loading the trade", *_trader("load", layout))
    logins = _logins(layout)
    addresses = {
        "base_url": _address(port),
        "database_url": services.database_url,
        "redis_url": services.redis_url,
    }
    write_private(layout.logins, json.dumps({**logins, **addresses}, indent=2) + "\n")
    _start_pieces(layout, services, port)
    return services


def _start_pieces(layout: Layout, services: Services, port: int) -> None:
    """Start each piece that does not run as it should or does not work, and wait for it."""
    environ = {**environment.demo(layout, services), "PORT": str(port)}
    code = code_digest(layout.checkout)
    missing = [
        piece
        for piece in PIECES
        if not piece.is_current(layout, environ, code)
        or piece.wait(layout, environ, HEALTHY_SECONDS)
    ]
    if not missing:
        say("already running, and healthy")
    if WEB in missing:
        _step(layout, services, "collecting static files", *MANAGE, *COLLECT_STATIC)
    for piece in missing:
        say(f"starting {piece.name}")
        piece.start(layout, environ, code)
    for piece in missing:
        if trouble := piece.wait(layout, environ, READY_SECONDS):
            log = tail(piece.log(layout))
            raise SetupError(f"{piece.name} did not get ready: {trouble}\nIts log ends:\n{log}")


def _trade(layout: Layout, services: Services, port: int) -> None:
    _step(layout, services, "playing the day", *_player(layout, _address(port)))
    _step(layout, services, "verifying the books", *MANAGE, "verify")


def _trader(verb: str, layout: Layout) -> Sequence[str]:
    return (PYTHON, "-m", "bench.trade", verb, "--logins", str(layout.logins))


def _player(layout: Layout, address: str) -> Sequence[str]:
    return (*_trader("play", layout), "--base-url", address)


def _step(layout: Layout, services: Services, doing: str, *command: str) -> None:
    say(doing)
    if code := _run(layout, services, *command):
        raise SetupError(f"{doing} failed with exit code {code}")


def _run(layout: Layout, services: Services, *command: str) -> int:
    return run(command, environ=environment.demo(layout, services), cwd=layout.checkout)


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _logins(layout: Layout) -> dict[str, Any]:
    with suppress(ValueError):
        known = json.loads(read(layout.logins))
        if isinstance(known, dict):
            return known
    return {}


def _report(layout: Layout) -> None:
    """Print where the site is and who may enter."""
    logins = _logins(layout)
    people = {"admin": logins.get("admin")}
    people |= {role: (logins.get(f"{role}s") or [None])[0] for role in ("retailer", "vendor")}
    print(f"\n  Khaacho   {logins['base_url']}/admin/")
    for role, login in people.items():
        if isinstance(login, dict) and "phone" in login:
            print(f"  {role:<9} {login['phone']}  {login.get('password', '')}")
    print(f"  all logins {layout.logins}    make logs | make round | make stop\n")
