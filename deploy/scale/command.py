"""`make scale-demo` and `make scale-stop`: what many machines would do, shown by processes of one."""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.checks import MANAGE
from deploy.local.demo import COLLECT_STATIC, PREPARATIONS
from deploy.local.environment import PYTHON
from deploy.local.files import SetupError, locked, read, say, write_private
from deploy.local.pieces import code_digest
from deploy.local.processes import Daemon, is_alive, recall, record, run, run_all
from deploy.scale import acknowledged, databases, servers, site, work
from deploy.scale.breaking import Breaking
from deploy.scale.layout import ScaleLayout
from deploy.scale.release import Release
from deploy.scale.site import WEB, Site

ORDERS = 200
Step = tuple[str, Sequence[str]]  # what is being done, and the command


def up(layout: ScaleLayout, *, port: int, fresh: bool, orders: int) -> int:
    """Bring the topology up, play the day through it while it is broken, and say what happened.

    Returns 0 when all of it held. Raises SetupError when it cannot come up; then nothing stays running.
    """
    with locked(
        layout.var / "demo.lock", "another make scale-demo is at work here: waiting for it"
    ):
        record(_ourselves(layout).pid_file, os.getpid())
        if fresh:
            delete(layout)
        try:
            running = _serve(layout, port)
        except SetupError:
            _stop(layout)
            raise
        return _show(running, orders)


def down(layout: ScaleLayout) -> bool:
    """End everything that `up` started, an `up` that is at work included; return whether there was any."""
    if not layout.var.exists():
        return False
    ours = recall(_ourselves(layout).pid_file)
    if ours and ours.pid != os.getpid() and is_alive(ours):
        _ourselves(layout).stop()
    return _stop(layout)


def delete(layout: ScaleLayout) -> None:
    """End the scaled demo and delete its data."""
    _stop(layout)
    say("FRESH=1: deleting the scaled demo's data")
    shutil.rmtree(layout.servers, ignore_errors=True)
    for path in (layout.logins, layout.acknowledged):
        path.unlink(missing_ok=True)


def _ourselves(layout: ScaleLayout) -> Daemon:
    return Daemon("scale-demo", layout.run)


def _stop(layout: ScaleLayout) -> bool:
    return any([site.stop(layout), servers.stop_all(layout)])


def _serve(layout: ScaleLayout, port: int) -> Site:
    """Bring servers, schema, trade and processes up."""
    say("starting the primary, its replica, PgBouncer, two Redis and nginx")
    for mark in layout.draining.glob("web-*") if layout.draining.exists() else ():
        mark.unlink()  # of an interrupted restart
    ports = {number: site.web_port(layout, number) for number in WEB}
    running = Site(layout, servers.start_all(layout, ports, port))
    first, *others = [(doing, (*MANAGE, *command)) for doing, command in PREPARATIONS.items()]
    _steps(running, first, *_collecting(running))
    _steps(running, *others)
    trade = (*_trader("load", layout), *_options("SCALE_LOAD"))
    _steps(running, ("loading the trade", trade))
    write_private(_static_mark(layout), code_digest(layout.checkout))
    _keep(running)
    running.start()
    if code := Release(running).take_back():
        raise SetupError(f"the earlier run's release was not taken back: exit code {code}")
    return running


def _collecting(running: Site) -> list[Step]:
    """Return how static files are collected, where the code is another one than last time."""
    layout = running.layout
    if read(_static_mark(layout)) == code_digest(layout.checkout):
        return []
    return [("collecting static files", (*MANAGE, *COLLECT_STATIC))]


def _static_mark(layout: ScaleLayout) -> Path:
    return layout.servers / "static.digest"


def _keep(running: Site) -> None:
    """Write down where everything is, beside the logins."""
    known: dict[str, Any] = {}
    with suppress(ValueError):
        known = json.loads(read(running.layout.logins))
    addresses = running.addresses
    known |= {
        "base_url": addresses.edge,
        "database_url": addresses.primary,
        "redis_url": addresses.queues,
        "addresses": vars(addresses),
    }
    write_private(running.layout.logins, json.dumps(known, indent=2) + "\n")


def _options(name: str) -> Sequence[str]:
    """Return more options for a step, as tests with their tiny trade give them."""
    return os.environ.get(name, "").split()


def _show(running: Site, orders: int) -> int:
    """Play, break, bring a release out, verify and compare; report each, and return how many steps failed."""
    layout, addresses = running.layout, running.addresses
    breaking, release = Breaking(running, orders), Release(running)
    since = work.now(addresses.primary)
    results = [
        *_side_by_side(running, breaking, release, orders),
        _judged(
            "every job, those too whose worker was killed",
            lambda: work.troubles(addresses.primary, breaking.jobs, since),
        ),
        _judged("the books", lambda: _code(_run(running, *MANAGE, "verify"))),
        _judged(
            "acknowledged orders and payments, on the primary",
            lambda: acknowledged.losses(layout.acknowledged, addresses.primary),
        ),
        _judged("the same on the replica", lambda: _on_the_replica(running)),
    ]
    told = acknowledged.counts(layout.acknowledged)
    print(f"\n  Khaacho   {addresses.edge}/admin/   (nginx, before web processes 1 and 2)")
    print(f"  logins    {layout.logins}    ends with: make scale-stop, or make stop")
    print(f"  acknowledged so far: {told['order']} orders, {told['payment']} payments")
    for text in [*breaking.said, *release.said]:
        print(f"    {text}")
    for what, troubles in results:
        print(f"  {'FAILED' if troubles else 'ok':<6}  {what}")
        for trouble in troubles[:10]:
            print(f"            {trouble}")
    print()
    return sum(1 for _, troubles in results if troubles)


def _side_by_side(
    running: Site, breaking: Breaking, release: Release, orders: int
) -> list[tuple[str, list[str]]]:
    """Play the day, break what is to be broken, and bring the release out while the day goes on."""
    with ThreadPoolExecutor(1) as beside:

        def bring_out() -> list[str]:
            breaking.is_calm.wait()
            return release.bring_out()

        what = "a release with a migration of a hot table, meanwhile"
        brought_out = beside.submit(_judged, what, bring_out)
        day = _judged("the day through nginx, with kills", lambda: _play(running, breaking, orders))
        return [day, brought_out.result()]


def _judged(what: str, act: Callable[[], list[str]]) -> tuple[str, list[str]]:
    say(what)
    begun = time.monotonic()
    try:
        troubles = act()
    except SetupError as error:
        troubles = [str(error)]
    return f"{what} ({time.monotonic() - begun:.0f} s)", troubles


def _play(running: Site, breaking: Breaking, orders: int) -> list[str]:
    player = (*_trader("play", running.layout), "--base-url", running.addresses.edge, "--again")
    ledger = ("--ledger", str(running.layout.acknowledged), "--orders", str(orders))
    troubles = _code(breaking.run(lambda: _run(running, *player, *ledger)))
    return troubles + breaking.troubles


def _on_the_replica(running: Site) -> list[str]:
    addresses = running.addresses
    if behind := databases.wait_for_replay(addresses.primary, addresses.replica):
        return [behind]
    return acknowledged.losses(running.layout.acknowledged, addresses.replica)


def _code(code: int) -> list[str]:
    return [f"exit code {code}"] if code else []


def _trader(verb: str, layout: ScaleLayout) -> Sequence[str]:
    return (PYTHON, "-m", "bench.trade", verb, "--logins", str(layout.logins))


def _steps(running: Site, *steps: Step) -> None:
    """Do these side by side. Raises SetupError."""
    for doing, _ in steps:
        say(doing)
    commands = [command for _, command in steps]
    codes = run_all(commands, environ=running.commands(), cwd=running.layout.checkout)
    for (doing, _), code in zip(steps, codes, strict=True):
        if code:
            raise SetupError(f"{doing} failed with exit code {code}")


def _run(running: Site, *command: str) -> int:
    return run(command, environ=running.commands(), cwd=running.layout.checkout)
