"""`load` fills an empty database, `plans` prints the 27 indexes at work, `demand` derives the skew anew."""

import argparse
import json
import time
from pathlib import Path

from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.scale import demand, loading
from khaacho import sql


def add_load(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("load", help="fill an empty database with a trade of N orders")
    parser.add_argument("--orders", type=_positive, required=True, help="how many orders")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same trade")
    for rows in ("products", "retailers", "vendors"):
        parser.add_argument(f"--{rows}", type=_positive, default=0, help="follows from the orders")
    parser.add_argument("--baskets", type=Path, help="CSV of baskets to take the skew from")
    parser.add_argument("--owing", type=_share, default=0.08, help="share of delivered orders")
    parser.add_argument("--hot-account", type=_positive, default=0, help="entries of one account")
    parser.add_argument("--lean", action="store_true", help="orders, ledger and payments alone")
    parser.add_argument("--dry-run", action="store_true", help="say what would be loaded")
    parser.set_defaults(run=_load)


def add_demand(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("demand", help="derive data/demand.csv from a file of baskets")
    parser.add_argument("baskets", type=Path)
    parser.set_defaults(run=_demand)


def add_plans(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("plans", help="print the plan of each of the 27 indexes")
    parser.add_argument("--json", action="store_true", help="as an object: index to plan")
    parser.set_defaults(run=_plans)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("from 0 to 1")
    return share


def _load(arguments: argparse.Namespace) -> int:
    """Load as told by the command line; return the exit code."""
    console = Console()
    scale = loading.Scale(
        orders=arguments.orders,
        seed=arguments.seed,
        products=arguments.products,
        retailers=arguments.retailers,
        vendors=arguments.vendors,
        owing=arguments.owing,
        hot_account=arguments.hot_account,
        baskets=arguments.baskets,
        lean=arguments.lean,
    )
    if arguments.dry_run:
        sizes = ", ".join(f"{rows:,} {name}" for name, rows in scale.sizes.items())
        console.print(
            f"Would load {sizes} into the database {settings.DATABASES['default']['NAME']!r}."
        )
        return 0
    started = time.monotonic()
    bar = Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("load", total=len(loading.steps(scale.lean)) + 4)
        try:
            loading.load(scale, lambda step: bar.update(task, advance=1, description=step))
        except loading.NotEmpty:
            console.print(f"[red]{loading.NotEmpty.__doc__}")
            return 1
    console.print(_sizes())
    console.print(f"Loaded in {time.monotonic() - started:.1f} s")
    return 0


def _plans(arguments: argparse.Namespace) -> int:
    """Print each plan on the database as it is; end with 1 at the first index that is not used."""
    from bench.scale import screens  # noqa: PLC0415 - models need django.setup()

    try:
        found = screens.plans()
    except screens.LostIndex as lost:
        Console(stderr=True).print(f"[red]{lost}")
        return 1
    if arguments.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(f"{index}\n{text}" for index, text in found.items()))
    return 0


def _demand(arguments: argparse.Namespace) -> int:
    demand.write(demand.derive(arguments.baskets))
    return 0


def _sizes() -> Table:
    """Rows as VACUUM counted them: a count of its own would take as long as a step."""
    table = Table("table", "rows", "size")
    table.columns[1].justify = table.columns[2].justify = "right"
    for name in loading.TABLES:
        row = sql.fetch_one(
            "SELECT reltuples::bigint, pg_size_pretty(coalesce((SELECT sum(pg_total_relation_size(relid))"
            " FROM pg_partition_tree(oid)), pg_total_relation_size(oid))) FROM pg_class"
            " WHERE oid = %s::regclass",
            [name],
        )
        assert row is not None
        table.add_row(name, f"{row[0]:,}", row[1])
    return table
