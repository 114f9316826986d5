"""Target 3: a cached page of the catalogue, and the search for products."""

import json
from importlib import import_module
from importlib.util import find_spec

from bench.harness import postgres, worlds
from bench.harness.client import Client, retailers
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.harness.rounds import alternate

OURS = "/api/v1/products/?limit=20"
REFERENCE = "/reference/products/"
PRODUCTS, TERMS = 100_000, 240
SEARCH = "bench.search"
MOST_MS = 0.5
TARGET = 3


def measure(bench: Bench) -> Findings:
    """Measure a page that was asked for before; then search, where the database has products enough."""
    bench.big.enter()
    bench.say("3. catalogue page, asked for again")
    shops = retailers()
    ours, reference = Client(shops), Client(shops)
    if not json.loads(ours.get(OURS))["data"]:
        raise SystemExit("this database has no product: load a trade first")
    spread = alternate(
        {"ours": lambda: ours.get(OURS), "reference": lambda: reference.get(REFERENCE)},
        bench.requests,
    )
    asked = len(postgres.captured(lambda: ours.get(OURS)))
    return Findings(
        [
            *_search(bench),
            Result(
                target=TARGET,
                name="catalogue page of 20, asked for again: CPU of the application",
                unit="ms/request",
                reference=spread["reference"].median,
                ours=spread["ours"].median,
                goal=MOST_MS,
                rule=Rule.OURS_AT_MOST,
                note=f"{asked} statements; ours {spread['ours']}, reference {spread['reference']}",
            ),
        ]
    )


def _search(bench: Bench) -> list[Result]:
    """Search made-up goods in a database of their own."""
    if find_spec(SEARCH) is None or bench.big.database is None:
        return []
    bench.say(f"3. search among {PRODUCTS:,} products")
    with worlds.empty("bench_search"):
        found = import_module(SEARCH).measure(PRODUCTS, TERMS)
    bench.big.enter()
    return [
        Result(
            target=TARGET,
            name=found["name"],
            unit=found["unit"],
            reference=found["reference"],
            ours=found["ours"],
            goal=found["goal"],
            rule=Rule.OURS_AT_MOST,
            note=f"the reference is icontains over the same columns; {found['terms']} terms",
        )
    ]
