"""`python -m tests.survival.saboteur`: a few seconds of chaos without each safeguard, one after the other.

Workers and beats run `celery -A tests.survival.saboteur`. The file that $SABOTAGE names says which
safeguard is missing now: its statement is changed on its way to the database, or nothing is swept. An
index is dropped meanwhile. Each time that is broken which the safeguard is there for.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.app import app  # isort: skip # it sets Django up, which the others need
from django.conf import settings
from django.db import connection, connections

from bench.chaos import beats, timeline
from bench.chaos.expectations import drain
from bench.chaos.play import Plan, begin, play
from bench.chaos.servers import Servers
from bench.chaos.stage import Stage
from deploy.local.services import ephemeral_home
from khaacho import jobs, schedules, sql
from tests.conftest import FLUSH, flush

__all__ = ["app"]

BEAT_TABLES = ",".join(
    f"django_celery_beat_{name}"
    for name in ("periodictask", "periodictasks", "intervalschedule", "crontabschedule")
)
HERE = "tests.survival.saboteur"
BEGUN = time.monotonic()
LEASE = 4  # seconds
DRAIN, NEVER = 60.0, 10.0  # seconds for what is left; and for what will never be done


@dataclass(frozen=True)
class Sabotage:
    """What is missing: texts of statements, an index, or the sweep; and the faults that show it."""

    faults: tuple[str, ...]
    rewrite: dict[str, str] = field(default_factory=dict)
    index: str = ""
    sweeps: bool = True
    seconds: float = 3.5
    lasts: float = 1.0  # seconds of each fault
    drains: bool = True


SABOTAGES: dict[str, Sabotage] = {
    "nothing": Sabotage(("redis-flush",)),
    "fence": Sabotage(
        ("zombie",),
        {r"AND fence = (%\(?\w*\)?s) AND state = 'running'": r"AND (fence = \1 OR true)"},
    ),
    "lease": Sabotage(
        ("worker-kill",), {r"lease_until < statement_timestamp\(\)": "false"}, drains=False
    ),
    "slots": Sabotage(
        (),
        {r"ON CONFLICT \(kind, slot\) WHERE slot IS NOT NULL": "ON CONFLICT"},
        "job_slot_once",
        seconds=7,
    ),
    "keys": Sabotage(
        ("redis-kill",),  # a job waits for longer than it takes to ask for it again
        {r"ON CONFLICT \(dedupe_key\)[\s\S]*?RETURNING": "RETURNING"},
        "job_open_dedupe_key",
        seconds=5,
        lasts=3.0,
    ),
    "sweep": Sabotage(("redis-flush",), sweeps=False, drains=False),
}


def missing() -> Sabotage:
    """Return what is missing at this moment."""
    return SABOTAGES[Path(os.environ["SABOTAGE"]).read_text()]


def commit() -> None:
    """Have every statement and sweep of this process look first whether it is sabotaged."""
    for name in ("fetch", "fetch_one", "execute"):
        setattr(sql, name, _changed(getattr(sql, name)))
    sweep = jobs.sweep
    jobs.sweep = lambda *args: sweep(*args) if missing().sweeps else 0


def _changed(run: Callable[..., Any]) -> Callable[..., Any]:
    def changed(statement: str, *args: Any) -> Any:
        for pattern, text in missing().rewrite.items():
            statement = re.sub(pattern, text, statement)
        return run(statement, *args)

    return changed


def main() -> None:
    """Play on the database of the environment; print the violations of each sabotage as JSON."""
    with ephemeral_home("sabotage") as home:
        servers = Servers(home, persist=False, database_url=os.environ["DATABASE_URL"])
        switch = Path(os.environ["SABOTAGE"])
        switch.write_text("nothing")
        commit()
        try:
            services = servers.start()
            url = services.redis_url
            settings.REDIS_URL = settings.CACHE_URL = settings.CELERY_BROKER_URL = url
            extra = {"SABOTAGE": str(switch), "WEB_CONCURRENCY": "1"}
            stage = Stage(home, servers, services, LEASE, app=HERE, extra=extra)
            with stage.torn_down():
                begin(stage, _say)
                print(json.dumps({name: _played(stage, switch, name) for name in SABOTAGES}))
        finally:
            servers.stop()
            flush()


def _played(stage: Stage, switch: Path, name: str) -> dict[str, list[str]]:
    sabotage = SABOTAGES[name]
    _say(f"--- without {name}")
    acts = [
        timeline.Act(
            1.0, timeline.FAULTS[fault], LEASE + 5.0 if fault == "zombie" else sabotage.lasts
        )
        for fault in sabotage.faults
    ]
    plan = Plan(
        acts,
        sabotage.seconds,
        1,
        rate=4.0,
        drain_seconds=DRAIN if sabotage.drains else NEVER,
        poisons=(),
        verify=False,
    )
    definition = sql.fetch_one(
        "SELECT indexdef FROM pg_indexes WHERE indexname = %s", [sabotage.index]
    )
    if definition:
        sql.execute(f"DROP INDEX {sabotage.index}")
    switch.write_text(name)
    beats.every_second(schedules.SWEEP)
    try:
        found = play(stage, plan, _say).violations
    finally:
        switch.write_text("nothing")
        connections.close_all()
        _clear()
        if definition:
            sql.execute(definition[0])
    return {rule: violations[:3] for rule, violations in found.items() if violations}


def _clear() -> None:
    """Let the workers end what they have, and empty every table but those that beats have read."""
    sql.execute("UPDATE jobs SET dedupe_key = NULL, slot = NULL")
    now = sql.fetch_one("SELECT clock_timestamp()::text")
    assert now
    drain(now[0], 30)
    with connection.cursor() as cursor:
        cursor.execute(FLUSH.replace("auth_permission", f"{BEAT_TABLES},auth_permission"))


def _say(text: str) -> None:
    print(f"{time.monotonic() - BEGUN:5.1f} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
elif "SABOTAGE" in os.environ:
    commit()
