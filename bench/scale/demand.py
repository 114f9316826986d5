"""How real demand is skewed: four curves, read from facts in data/demand.csv or from any file of baskets.

A curve's value at share u of the demand: `household_rank` and `product_rank` are the rank (0 to 1, busiest
first) of the household or product that brings it, `basket_lines` and `line_quantity` the size that it has.
"""

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FACTS = Path(__file__).parent / "data" / "demand.csv"
RANKS = ("household_rank", "product_rank")
CURVES = (*RANKS, "basket_lines", "line_quantity")
STEPS = 200
BASKET_COLUMNS = {"household_id", "basket_id", "product_id", "quantity"}

Curves = Mapping[str, Sequence[float]]


def facts(path: Path = FACTS) -> Curves:
    """Read the curves, each at shares 0, 1/200 … 1."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {curve: [float(row[curve]) for row in rows] for curve in CURVES}


def derive(baskets: Path) -> Curves:
    """Derive the curves from lines of (household_id, basket_id, product_id, quantity).

    Raises ValueError when a column is missing or there is no line.
    """
    with baskets.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if BASKET_COLUMNS.difference(reader.fieldnames or ()):
            raise ValueError(f"{baskets}: columns needed are {', '.join(sorted(BASKET_COLUMNS))}")
        lines = list(reader)
    if not lines:
        raise ValueError(f"{baskets}: no lines")
    buyers = {line["basket_id"]: line["household_id"] for line in lines}
    sizes = Counter(line["basket_id"] for line in lines)
    return {
        "household_rank": _ranks(Counter(buyers.values())),
        "product_rank": _ranks(Counter(line["product_id"] for line in lines)),
        "basket_lines": _quantiles(sizes.values()),
        "line_quantity": _quantiles(max(1, int(line["quantity"])) for line in lines),
    }


def write(curves: Curves, path: Path = FACTS) -> None:
    """Write the facts that facts() reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("share", *CURVES))
        for step in range(STEPS + 1):
            writer.writerow((step / STEPS, *(curves[curve][step] for curve in CURVES)))


def _ranks(counted: Counter[str]) -> list[float]:
    """Return, for each share of the whole, how far down the ranking one has to go for it."""
    counts = sorted(counted.values(), reverse=True)
    passed = [0, *itertools.accumulate(counts)]
    ranks, place = [], 0
    for step in range(STEPS + 1):
        wanted = step / STEPS * passed[-1]
        while place < len(counts) - 1 and passed[place + 1] < wanted:
            place += 1
        within = (wanted - passed[place]) / counts[place]
        ranks.append(round((place + within) / len(counts), 6))
    return ranks


def _quantiles(values: Iterable[int]) -> list[float]:
    ordered = sorted(values)
    return [
        ordered[min(len(ordered) - 1, step * len(ordered) // STEPS)] for step in range(STEPS + 1)
    ]
