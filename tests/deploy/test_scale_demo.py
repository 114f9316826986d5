"""`make scale-demo` from nothing to its end, with a tiny trade and day, under a name of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from deploy.local.files import LAYOUT, SetupError
from deploy.local.processes import marked
from deploy.scale import acknowledged, programs, servers, site
from deploy.scale.layout import ScaleLayout, named
from tests.bench.conftest import write_data

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.patient]
ORDERS = 15
# A job may have 8 s, so that a killed worker's comes back a margin later; static files are not squeezed and
# passwords hashed cheaply; of the release what needs no load to be seen is left out (tests/deploy/test_release.py), and of the
# workers all but the busiest.
QUICK = {
    "SCALE_JOB_SECONDS": "8",
    "SCALE_CHEAP": "1",
    "SCALE_RELEASE_SKIP": "check beat mark",
    "SCALE_RELEASE_WORKERS": "trade",
}
NAME = "scale-test"


def make(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "REDIS_", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", command],
        cwd=LAYOUT.checkout,
        env={**kept, "SCALE_NAME": NAME, "COLUMNS": "160", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[ScaleLayout]:
    for name in ("nginx", "pgbouncer"):
        try:
            programs.obtain(name)
        except SetupError as error:
            pytest.skip(str(error))
    layout = named(NAME)
    try:
        yield layout
    finally:
        make("scale-stop")
        shutil.rmtree(layout.servers, ignore_errors=True)
        shutil.rmtree(layout.var, ignore_errors=True)


def test_the_topology_survives_its_day_and_nothing_acknowledged_is_lost(
    layout: ScaleLayout, tmp_path: Path
) -> None:
    trade = f"--data {write_data(tmp_path)} --days 5 --orders-per-day 6"

    result = make("scale-demo", FRESH="1", ORDERS=str(ORDERS), SCALE_LOAD=trade, **QUICK)

    said = result.stdout + result.stderr
    assert result.returncode == 0, said[-6000:]
    assert said.count("\n  ok ") == 6, said[-3000:]
    for name in ("web-1", "pgbouncer", "worker-trade"):
        assert re.search(rf"{name} killed \(-9, \d+.*works again after \d+\.\d s", said), name
    caught = re.search(r"worker-trade killed .* in the middle of job (\d+) \(", said)
    assert caught
    requests = re.search(r"(\d+) requests, 0 failed, the longest waited \d+ ms", said)
    assert requests
    assert int(requests[1]) > 50
    check_the_release(said)
    check_what_runs(layout, caught=int(caught[1]))

    stopped = make("scale-stop")

    assert "stopped" in stopped.stderr
    left = [
        name for name, piece in site.pieces(layout).items() if marked(piece.daemon(layout).mark)
    ]
    assert left == []
    assert not servers.nginx_daemon(layout).running
    assert not servers.pgbouncer_daemon(layout).running


def check_the_release(said: str) -> None:
    """What deploy/release.sh said: the migration gave way to a report, then everything went on, in order."""
    told = [line.partition("[khaacho]   ")[2] for line in said.splitlines()]
    told = [line for line in told if line]
    order = [
        "window.0001_orders_have_a_window gave way after 500 ms (the oldest transaction: pid ",
        "window.0001_orders_have_a_window gave way after 500 ms (the oldest transaction: pid ",
        "window.0001_orders_have_a_window applied",
        "window.0002_window_index applied",
        "window.0003_window_is_known applied",
        "window.0004_window_was_known applied",
        "rolling: web process 1 on port ",
        "rolling: web process 2 on port ",
        "release: worker trade is restarted and answers",
        "release: next is out",
    ]
    met = [start for line in told for start in dict.fromkeys(order) if line.startswith(start)]
    assert met == order
    assert all("a long report" in line for line in told if "gave way after" in line)


def check_what_runs(layout: ScaleLayout, caught: int) -> None:
    """The running topology is what it claims, and a loss would be seen."""
    known = json.loads(layout.logins.read_text())
    addresses = servers.Addresses(**known["addresses"])
    assert acknowledged.counts(layout.acknowledged)["order"] >= 0.8 * ORDERS

    with psycopg.connect(addresses.replica) as replica:
        assert replica.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    with psycopg.connect(addresses.pooled, autocommit=True) as pooled:
        # One client may be served by several sessions: that is transaction mode.
        shown = pooled.execute("SHOW statement_timeout").fetchone()
        assert shown == ("30s",)
    admin = re.sub(r"/khaacho$", "/pgbouncer", addresses.pooled)
    with psycopg.connect(admin, autocommit=True) as console:
        pools = console.execute("SHOW DATABASES", binary=False)
        assert "khaacho" in {row[0] for row in pools.fetchall()}

    with psycopg.connect(addresses.primary) as primary:
        column = "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = %s"
        assert primary.execute(column, ["delivery_window"]).fetchone() == (True,)
        # What the worker was caught at came back and was done. Others may have stalled too: PgBouncer dies
        # under whatever is at work.
        came_back = primary.execute("SELECT stalls > 0, state FROM jobs WHERE id = %s", [caught])
        assert came_back.fetchone() == (True, "done")
        left = "SELECT count(*) FROM jobs WHERE state IN ('running', 'dead')"
        assert primary.execute(left).fetchone() == (0,)

    log = (layout.servers / "nginx" / "access.log").read_text().splitlines()
    upstreams = {json.loads(line)["upstream"] for line in log}
    ports = {f"127.0.0.1:{site.web_port(layout, number)}" for number in site.WEB}
    assert ports <= upstreams
    answer = httpx.get(f"{addresses.edge}/api/v1/health", trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")

    ledger = layout.var / "forged.jsonl"
    forged = {"kind": "order", "id": 2**40, "order_number": "ORD-2026-9999999", "total": "1.00"}
    ledger.write_text(layout.acknowledged.read_text() + json.dumps(forged) + "\n")
    assert acknowledged.losses(ledger, addresses.primary) == [
        "order ORD-2026-9999999 was acknowledged; the database has nothing"
    ]
