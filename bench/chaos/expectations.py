"""What must be true after everything: each expectation returns what violates it, nothing when it holds."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import Error, connections

from bench.chaos import kinds
from bench.chaos.load import Ledger
from bench.chaos.stage import Stage
from bench.chaos.timeline import Act
from bench.harness.results import ROOT
from khaacho import sql

AFTERMATH = 15.0  # seconds after a fault of web or PostgreSQL in which a request may still fail
LEFT = """
SELECT count(*), coalesce(string_agg(DISTINCT kind || ' ' || state, ', '), '') FROM jobs
WHERE state IN ('queued', 'running') AND created_at <= %s AND kind <> 'chaos.slot'
"""
WRONG_EFFECTS = """
SELECT label, runs, state FROM (
    SELECT j.args ->> 'label' AS label, j.state, (
        SELECT count(*) FROM chaos_effects e WHERE e.label = j.args ->> 'label') AS runs
    FROM jobs j WHERE j.kind = 'chaos.note') counted
WHERE runs <> CASE WHEN state = 'done' THEN 1 ELSE 0 END ORDER BY label
"""
WRONG_SLOTS = """
SELECT kind, slot, count(*) FROM jobs WHERE slot IS NOT NULL GROUP BY kind, slot HAVING count(*) > 1
"""
SLOT_EFFECTS = """
SELECT (SELECT count(*) FROM jobs WHERE kind = 'chaos.slot' AND state = 'done'),
    (SELECT count(*) FROM chaos_effects WHERE label = 'slot')
"""
WRONG_POISON = """
SELECT kind, state, attempts FROM jobs WHERE kind = ANY (%s) AND (state, attempts) <> ('dead', 3)
"""
NOT_DONE = """
SELECT id, kind, reference, state, attempts, right(last_error, 200) FROM jobs
WHERE state <> 'done' AND created_at <= %s AND kind <> ALL (%s) AND kind <> 'chaos.slot' ORDER BY id
"""
# Of two open jobs with one key, the later was asked for well before the other had ended: created_at
# is the start of a transaction, which may have waited for that end.
OPEN_TWICE = """
SELECT one.dedupe_key, one.id, two.id FROM jobs one JOIN jobs two
    ON two.dedupe_key = one.dedupe_key AND two.id > one.id
    AND two.created_at < coalesce(one.finished_at, 'infinity') - interval '500 ms'
WHERE one.state <> 'dead' AND two.state <> 'dead' ORDER BY one.id
"""
WRONG_TALLIES = "SELECT name, asked, seen FROM chaos_tallies WHERE asked <> seen"
# Of an order each step is followed up once by each that follows it.
FOLLOWED_TWICE = """
SELECT reference, kind, count(*) FROM jobs WHERE reference LIKE 'order:%%' AND kind <> 'orders.expire'
GROUP BY reference, kind HAVING count(*) > 1 ORDER BY reference
"""
NOT_FOLLOWED = """
SELECT o.id, wanted.kind FROM orders o CROSS JOIN (
    SELECT DISTINCT kind FROM jobs WHERE kind LIKE 'OrderPlaced>%%' OR kind = 'orders.route') wanted
WHERE NOT EXISTS (
    SELECT FROM jobs j WHERE j.reference = 'order:' || o.id AND j.kind = wanted.kind) ORDER BY o.id
"""
NOT_OFFERED_ONCE = """
SELECT o.id, (SELECT count(*) FROM vendor_order_acceptances a WHERE a.order_id = o.id) AS asked
FROM orders o
WHERE 1 <> (SELECT count(*) FROM vendor_order_acceptances a WHERE a.order_id = o.id)
    OR o.status = 'PLACED' ORDER BY o.id
"""
NOTICES = """
SELECT o.id, n.wanted, (SELECT count(*) FROM whatsapp_messages m WHERE m.key = n.wanted) AS written
FROM orders o CROSS JOIN LATERAL (
    SELECT 'order:' || o.id || ':placed:retailer' AS wanted
    UNION ALL SELECT 'order:' || o.id || ':delivered:retailer' WHERE o.status = 'DELIVERED') n
WHERE 1 <> (SELECT count(*) FROM whatsapp_messages m WHERE m.key = n.wanted) ORDER BY o.id
"""


@dataclass(frozen=True)
class Scene:
    """What is looked at: the run's clients, its acts as they happened, and when its load ended."""

    stage: Stage
    ledger: Ledger
    acts: Sequence[Act]
    cutoff: str  # PostgreSQL's clock
    poisons: tuple[str, ...] = ()


def left(cutoff: str) -> tuple[int, str]:
    """Return how many jobs of the load are not done, and of which kinds."""
    row = sql.fetch_one(LEFT, [cutoff])
    assert row
    return int(row[0]), str(row[1])


def drain(cutoff: str, seconds: float) -> tuple[float, str]:
    """Wait until every job of the load is done or dead; return the seconds, and what is left after that."""
    begun, what = time.monotonic(), "the database does not answer"
    while time.monotonic() - begun < seconds:
        try:
            count, what = left(cutoff)
        except Error:
            connections.close_all()
        else:
            if not count:
                return time.monotonic() - begun, ""
            what = f"{count} jobs: {what}"
        time.sleep(0.1)
    return time.monotonic() - begun, what


def acknowledged_orders(scene: Scene) -> list[str]:
    """Every acknowledged order exists, once, and no other does."""
    known = scene.ledger.orders
    stored = {pk for (pk,) in sql.fetch("SELECT id FROM orders")}
    keys = dict(
        sql.fetch(
            "SELECT key, (response::jsonb ->> 'id')::bigint FROM idempotency_keys"
            " WHERE key LIKE 'chaos-%%' AND key NOT LIKE 'chaos-pay-%%'"
        )
    )
    wrong = [f"{key}: order {pk} is gone" for key, pk in known.items() if pk not in stored]
    wrong += [f"order {pk} was asked for by nobody" for pk in sorted(stored - set(known.values()))]
    if len(set(known.values())) != len(known):
        wrong.append("two keys were answered with one order")
    return wrong + [
        f"{key}: {pk}, not {keys.get(key)}" for key, pk in known.items() if keys.get(key) != pk
    ]


def deliveries_and_payments(scene: Scene) -> list[str]:
    """What vendors delivered is delivered, and what was paid was received, each once."""
    rows = sql.fetch("SELECT reference, count(*) FROM payments GROUP BY reference")
    wrong = [f"payment {name} was received {count} times" for name, count in rows if count != 1]
    if {name for name, _ in rows} != set(scene.ledger.paid):
        wrong.append(f"{len(rows)} payments, {len(scene.ledger.paid)} acknowledged")
    stored = {pk for (pk,) in sql.fetch("SELECT id FROM orders WHERE status = 'DELIVERED'")}
    return wrong + [
        f"order {pk} is not delivered" for pk in sorted(set(scene.ledger.delivered) - stored)
    ]


def clients(scene: Scene) -> list[str]:
    """No client was refused, left without an answer, or given two."""
    return list(scene.ledger.troubles)


def requests_without_redis(scene: Scene) -> list[str]:
    """Requests fail only while web or PostgreSQL are broken: not for Redis, workers or beats."""
    allowed = [(act.at, act.until + AFTERMATH) for act in scene.acts if act.fault.fails_requests]
    return [
        f"{failure.what} at {failure.begun:.1f} s"
        for failure in scene.ledger.failures
        if not any(at <= failure.ended and failure.begun <= until for at, until in allowed)
    ]


def effects(scene: Scene) -> list[str]:
    """Every done job took effect once, no other job at all, and no confirmed one is missing."""
    wrong = [
        f"{label} is {state}, took effect {n} times" for label, n, state in sql.fetch(WRONG_EFFECTS)
    ]
    stored = {
        x for (x,) in sql.fetch("SELECT args ->> 'label' FROM jobs WHERE kind = 'chaos.note'")
    }
    return wrong + [
        f"{label} was enqueued and is gone" for label in scene.ledger.notes if label not in stored
    ]


def slots(scene: Scene) -> list[str]:
    """Two beats insert each slot once, and its job takes effect once."""
    wrong = [f"{kind} of {slot} {count} times" for kind, slot, count in sql.fetch(WRONG_SLOTS)]
    row = sql.fetch_one(SLOT_EFFECTS)
    if row and row[0] != row[1]:
        wrong.append(f"{row[0]} slots were done, {row[1]} took effect")
    return wrong


def one_open_job(scene: Scene) -> list[str]:
    """One job is open per key, and the last request for it is not missed."""
    wrong = [f"{key}: jobs {one} and {two} at once" for key, one, two in sql.fetch(OPEN_TWICE)]
    return wrong + [
        f"{name} was asked for {asked} times, seen {seen}"
        for name, asked, seen in sql.fetch(WRONG_TALLIES)
    ]


def every_job_done(scene: Scene) -> list[str]:
    """No job of the load is open or dead, but the poison that was planted."""
    planted = [f"chaos.{name}" for name in kinds.POISONS]
    return [
        " ".join(str(part) for part in row) for row in sql.fetch(NOT_DONE, [scene.cutoff, planted])
    ]


def poison(scene: Scene) -> list[str]:
    """Planted poison costs three attempts, is dead, and took no effect."""
    wrong = [
        f"{kind} is {state} after {attempts} attempts"
        for kind, state, attempts in sql.fetch(WRONG_POISON, [list(scene.poisons)])
    ]
    row = sql.fetch_one("SELECT count(*) FROM chaos_effects WHERE label = 'poison'")
    return wrong + ([f"poison took effect {row[0]} times"] if row and row[0] else [])


def followed_up(scene: Scene) -> list[str]:
    """Each order is routed, offered and told of once; each notice is written once."""
    wrong = [f"{ref}: {kind} {count} times" for ref, kind, count in sql.fetch(FOLLOWED_TWICE)]
    wrong += [f"order {pk}: no {kind}" for pk, kind in sql.fetch(NOT_FOLLOWED)]
    wrong += [f"order {pk} was offered {count} times" for pk, count in sql.fetch(NOT_OFFERED_ONCE)]
    return wrong + [f"notice {key} {count} times" for _, key, count in sql.fetch(NOTICES)]


def verified(scene: Scene) -> list[str]:
    """`manage.py verify` finds no violation."""
    found = subprocess.run(
        [sys.executable, "manage.py", "verify"],
        cwd=ROOT,
        env={**os.environ, **scene.stage.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return [] if found.returncode == 0 else [(found.stdout + found.stderr)[-1500:]]


EXPECTATIONS: tuple[Callable[[Scene], list[str]], ...] = (
    acknowledged_orders,
    deliveries_and_payments,
    clients,
    requests_without_redis,
    effects,
    slots,
    one_open_job,
    every_job_done,
    poison,
    followed_up,
)


def check(scene: Scene, *, books: bool = True) -> dict[str, list[str]]:
    """Return what violates each expectation, by what it says; nothing for those that hold."""
    rules = (*EXPECTATIONS, verified) if books else EXPECTATIONS
    return {(rule.__doc__ or rule.__name__): rule(scene) for rule in rules}
