"""Work whose effects can be counted: a row of a table of their own for each time that it took effect."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from khaacho import jobs, schedules, sql
from khaacho.enums import Queue
from khaacho.jobs.kinds import known

TABLES = """
CREATE TABLE IF NOT EXISTS chaos_effects (
    id bigserial PRIMARY KEY, label text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS chaos_tallies (name text PRIMARY KEY, asked int NOT NULL, seen int NOT NULL);
TRUNCATE chaos_effects, chaos_tallies
"""
QUEUES = {
    "note": Queue.ORDER_PROCESSING,
    "tally": Queue.CREDIT_SCORE,
    "slot": Queue.REPORTS,
    "small": Queue.ORDER_ROUTING,
}
POISONS = ("raise", "die", "endless")
POISONOUS = {f"chaos.{name}" for name in POISONS}
HERE = "bench.chaos.kinds"
LIMIT = "CHAOS_LIMIT_SECONDS"  # no kind's hard limit is longer
SLOTS = "chaos: every two seconds"
BUSY = "CHAOS_BUSY"  # names the directory in which a process at work has a file called as its pid


def make_tables() -> None:
    """Make the tables where effects are counted, or empty them."""
    sql.execute(TABLES)


@contextmanager
def _at_work() -> Iterator[None]:
    mark = Path(os.environ[BUSY]) / str(os.getpid())
    mark.touch()
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            mark.unlink()


def note(label: str, seconds: float = 0.0) -> None:
    """Take effect, and go on working for so long: a kill meanwhile must undo it."""
    with _at_work():
        sql.execute("INSERT INTO chaos_effects (label) VALUES (%s)", [label])
        time.sleep(seconds)


def slot() -> None:
    sql.execute("INSERT INTO chaos_effects (label) VALUES ('slot')")


def small() -> None:
    """Do next to nothing: what is measured is all around it."""
    sql.fetch_one("SELECT pg_sleep(0.001)")


def tally(name: str) -> None:
    """See how often it was asked for; the last time must not be missed."""
    sql.execute("UPDATE chaos_tallies SET seen = asked WHERE name = %s", [name])


def poison_raise() -> None:
    sql.execute("INSERT INTO chaos_effects (label) VALUES ('poison')")
    raise RuntimeError("poison")


def poison_die() -> None:
    sql.execute("INSERT INTO chaos_effects (label) VALUES ('poison')")
    os.kill(os.getpid(), signal.SIGKILL)


def poison_endless() -> None:
    sql.execute("INSERT INTO chaos_effects (label) VALUES ('poison')")
    while True:
        with suppress(Exception):  # the soft limit too
            time.sleep(1)


def register() -> None:
    """Make the kinds known, and their schedule; give every kind short limits.

    A lease then ends in seconds, not in minutes.
    """
    limit = int(os.environ.get(LIMIT, "6"))
    for name, queue in QUEUES.items():
        jobs.register(f"chaos.{name}", f"{HERE}.{name}", queue=queue)
    for name in POISONS:
        function = f"{HERE}.poison_{name}"
        jobs.register(f"chaos.{name}", function, queue=Queue.PAYMENT_REMINDERS)
    for name, kind in known.items():
        hard = min(limit, 2 if name in POISONOUS else limit)
        known[name] = replace(kind, soft_limit=max(1, hard - 1), hard_limit=hard)
    schedules.register(SLOTS, "chaos.slot", every=timedelta(seconds=2))
