"""Target 2: placing orders, against a plain ORM, by number of lines, and under contention."""

import random
from collections.abc import Callable
from itertools import islice

from bench.harness import bodies, pgbench, postgres, servers, wire
from bench.harness.bodies import Market
from bench.harness.client import Client, next_key
from bench.harness.figures import compare, header
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, Rule
from khaacho import sql
from monitoring.invariants import run_invariants

OURS, REFERENCE = "/api/v1/orders/", "/reference/orders/"
LINES = (1, 3, 100)
MOST_STATEMENTS = 8
CLIENTS = 16
SCARCE = 40  # packs of the one product that everybody wants
TARGET = 2


def measure(bench: Bench) -> Findings:
    """Compare with the reference in the big world; orders stay behind there."""
    bench.big.enter()
    market = bodies.open_market()
    bench.say("2. order placing beside the reference")
    results, rows = _against_reference(bench, market)
    bench.say("2. order placing: statements")
    results += _statements(market)
    bench.say(f"2. order placing with {CLIENTS} clients")
    results += _contended(bench, market)
    columns = ["lines", *header("ours"), *header("reference")]
    return Findings(results, [Table("Placing an order by number of lines", columns, rows)])


def _against_reference(bench: Bench, market: Market) -> tuple[list[Result], list[list[object]]]:
    results, rows = [], []
    for lines in (n for n in LINES if n <= len(market.products)):
        ours, reference = _placing(market, OURS, lines), _placing(market, REFERENCE, lines)
        requests = max(1, bench.requests // (1 if lines == 3 else 4))
        found = compare({"ours": ours, "reference": reference}, requests)
        rows.append([lines, *found["ours"].cells(), *found["reference"].cells()])
        results.append(
            Result(
                target=TARGET,
                name=f"order of {lines} lines: CPU of the application",
                unit="ms/request",
                reference=found["reference"].application.median,
                ours=found["ours"].application.median,
                goal=0.4 if lines == 3 else None,
                rule=Rule.RATIO_AT_MOST if lines == 3 else Rule.FOR_INFORMATION,
                note=f"ours {found['ours'].application}, reference {found['reference'].application}",
            )
        )
    return results, rows


def _placing(market: Market, path: str, lines: int) -> Callable[[], bytes]:
    client, orders = Client(market.shops), market.bodies(lines)
    return lambda: client.post(path, next(orders))


def _statements(market: Market) -> list[Result]:
    results = []
    for lines in (1, min(100, len(market.products))):
        ours = postgres.captured(_placing(market, OURS, lines))
        theirs = postgres.captured(_placing(market, REFERENCE, lines))
        results.append(
            Result(
                target=TARGET,
                name=f"order of {lines} lines: statements, BEGIN and COMMIT included",
                unit="statements",
                reference=len(theirs),
                ours=len(ours),
                goal=MOST_STATEMENTS,
                rule=Rule.OURS_AT_MOST,
            )
        )
    return results


def _contended(bench: Bench, market: Market) -> list[Result]:
    """Place hot orders over HTTP from many connections; the same statements by pgbench; a scarce offer."""
    orders = list(islice(market.bodies(3), bench.load))
    shops = market.shops
    requests = [
        wire.request(shops[n % len(shops)], "POST", OURS, body) for n, body in enumerate(orders)
    ]
    deadlocks = _deadlocks()
    with servers.web(bench.big.url) as server:
        wire.send(server.port, requests[: CLIENTS * 4])
        begin = server.cpu_seconds()
        answered = wire.send(server.port, requests[CLIENTS * 4 :], CLIENTS)
        cpu = server.cpu_seconds() - begin
        sold, packs = _fight_over(market, server)
    deadlocks = _deadlocks() - deadlocks
    alone = pgbench.run(
        bench.big.url,
        _scripts(market, min(pgbench.SCRIPTS_MOST, bench.load // 4)),
        clients=CLIENTS,
        transactions=bench.load,
        protocol="simple",
    )
    if alone is None:
        bench.say("pgbench is not there: its share of order placing is not reported")
    p50, p95, p99 = answered.percentiles
    refused = len(requests) - CLIENTS * 4 - answered.accepted
    return [
        Result(
            target=TARGET,
            name=f"{CLIENTS} clients, hot products: orders placed beside pgbench with the same statements",
            unit="orders/s",
            reference=alone,
            ours=answered.accepted / answered.elapsed,
            goal=1 / 3,
            rule=Rule.RATIO_AT_LEAST,
            note=f"over HTTP; p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms;"
            f" {cpu / len(answered.seconds) * 1000:.2f} ms CPU of the server/order",
        ),
        Result(
            target=TARGET,
            name=f"{CLIENTS} clients, hot products: deadlocks and orders not accepted",
            unit="times",
            ours=deadlocks + refused,
            goal=0,
            rule=Rule.OURS_AT_MOST,
            note=f"answers {answered.statuses}",
        ),
        Result(
            target=TARGET,
            name=f"{CLIENTS} clients, {packs} packs of one product: packs sold beyond them, offers oversold",
            unit="packs",
            ours=abs(sold - packs) + _oversold(),
            goal=0,
            rule=Rule.OURS_AT_MOST,
            note=f"{sold} orders of one pack accepted",
        ),
    ]


def _fight_over(market: Market, server: servers.Server) -> tuple[int, int]:
    """Let all clients want one product of which there is little; return packs sold and packs there."""
    product = market.products[-1]
    sql.execute(
        "UPDATE vendor_products SET stock = reserved + %s WHERE vendor_id = %s AND product_id = %s",
        [SCARCE, market.vendor_id, product],
    )
    body = bodies.order(market.vendor_id, [product])
    chosen = random.Random(bodies.SEED).choices(market.shops, k=SCARCE * 4)
    answered = wire.send(
        server.port, [wire.request(shop, "POST", OURS, body) for shop in chosen], CLIENTS
    )
    sql.execute(
        "UPDATE vendor_products SET stock = %s WHERE vendor_id = %s AND product_id = %s",
        [bodies.STOCK, market.vendor_id, product],
    )
    return answered.accepted, SCARCE


def _oversold() -> int:
    """Count offers that promise more than there is, or other than their orders say."""
    return run_invariants(["offer_reserved_is_undispatched"])[0].violations


def _deadlocks() -> int:
    """Return how many deadlocks this database has had."""
    sql.fetch_one("SELECT pg_stat_clear_snapshot()")
    row = sql.fetch_one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert row
    return int(row[0])


def _scripts(market: Market, count: int) -> list[str]:
    """Return pgbench scripts of orders as the application places them, each of its own shop and lines."""
    for sequence in ("orders_id_seq", "idempotency_keys_id_seq", "jobs_id_seq"):
        sql.fetch_one(
            f"SELECT setval('{sequence}', greatest(nextval('{sequence}'), %s))",
            [pgbench.UNMISTAKABLE],
        )
    client, orders, made = Client(market.shops), market.bodies(3), []
    for _ in range(count):
        key = next_key()
        with pgbench.recording() as recorded:
            client.call("POST", OURS, next(orders), {"HTTP_IDEMPOTENCY_KEY": key})
        made.append(pgbench.script(recorded, key))
    return made
