"""Target 3: a cached page of the catalogue, and the search for products."""

import json

from bench.harness import postgres
from bench.harness.client import Client, retailers
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.harness.rounds import alternate

OURS = "/api/v1/products/?limit=20"
REFERENCE = "/reference/products/"
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
            Result(
                target=TARGET,
                name="catalogue page of 20, asked for again: CPU of the application",
                unit="ms/request",
                reference=spread["reference"].median,
                ours=spread["ours"].median,
                goal=MOST_MS,
                rule=Rule.OURS_AT_MOST,
                note=f"{asked} statements; ours {spread['ours']}, reference {spread['reference']}",
            )
        ]
    )
