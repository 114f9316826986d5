"""`load`: fill an empty database with the demo trade."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import transaction
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.trade import history, logins
from khaacho import jobs, sql

TABLES = (
    "users",
    "vendors",
    "products",
    "vendor_products",
    "retailers",
    "credit_accounts",
    "credit_ledgers",
    "credit_scores",
    "orders",
    "order_items",
    "order_status_logs",
    "vendor_order_acceptances",
    "payments",
    "payment_allocations",
    "invoice_counters",
    "jobs",
)
SCORES = (
    "SELECT credit_score, EXISTS (SELECT FROM credit_scores s WHERE s.retailer_id = r.id"
    " AND jsonb_path_exists(s.components, '$[*].sentence'))"
    " FROM retailers r ORDER BY credit_score DESC"
)
LOCK = 0x6B686161  # one load at a time


class OtherTrade(Exception):
    """This database holds orders that are not the demo's; the demo is loaded into an empty one."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("load", help=__doc__, description=__doc__)
    parser.add_argument(
        "--logins", type=Path, default=Path("var/demo.json"), help="where passwords are written"
    )
    parser.add_argument("--days", type=_positive, default=60, help="length of the history")
    parser.add_argument("--orders-per-day", type=_positive, default=40, help="on a mean day")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same trade")
    parser.add_argument("--data", type=Path, default=history.DATA, help="folder of the CSV files")
    parser.add_argument("--dry-run", action="store_true", help="say what would be loaded")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Load as told by the command line; return the exit code."""
    console = Console()
    options = history.Options(
        days=arguments.days,
        orders_per_day=arguments.orders_per_day,
        seed=arguments.seed,
        data=arguments.data,
    )
    if arguments.dry_run:
        console.print(plan(options))
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
        task = bar.add_task("load", total=len(history.steps()) + 4)
        try:
            is_new = load(
                options,
                arguments.logins,
                lambda step: bar.update(task, advance=1, description=step),
            )
        except OtherTrade:
            console.print(f"[red]{OtherTrade.__doc__}")
            return 1
    if not is_new:
        console.print("The demo trade is there already; nothing was changed.")
        if not arguments.logins.exists():
            console.print(
                f"{arguments.logins} is missing: passwords are kept nowhere else;"
                f" set new ones with manage.py changepassword {logins.ADMIN_PHONE}"
            )
        return 0
    console.print(_counts())
    console.print(_bands())
    console.print(f"Loaded in {time.monotonic() - started:.1f} s; logins are in {arguments.logins}")
    return 0


def plan(options: history.Options) -> str:
    """Say what load() would do to which database. Touches nothing."""
    counts = {}
    for kind in history.COLUMNS:
        counts[kind] = (
            len((options.data / f"{kind}s.csv").read_text(encoding="utf-8").splitlines()) - 1
        )
    return (
        f"Would load {counts['vendor']} vendors, {counts['retailer']} shops, {counts['product']}"
        f" products and about {options.days * options.orders_per_day:,} orders of {options.days} days"
        f" into the database {settings.DATABASES['default']['NAME']!r}."
    )


def load(options: history.Options, path: Path, done: Callable[[str], None]) -> bool:
    """Load the demo trade in one transaction and write its logins to `path`.

    Return False, having changed nothing, when it is there. Raises OtherTrade.
    """
    passwords = logins.Passwords()
    with transaction.atomic():
        sql.fetch("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if sql.fetch("SELECT FROM users WHERE phone = %s", [logins.ADMIN_PHONE]):
            return False
        if sql.fetch("SELECT FROM orders LIMIT 1"):
            raise OtherTrade
        history.write(options, passwords, done)
        _employ_the_operator()
        jobs.enqueue("payments.rescore_all", {"everybody": True}, reference="the demo trade")
        draft = logins.prepare(path, logins.collect(passwords))
    draft.replace(path)
    _analyze()
    jobs.run_due(queue="credit_score")  # what a crash here leaves, the worker does
    done("credit scores")
    return True


def _employ_the_operator() -> None:
    """Put the demo's operator into the groups Operations and Credit."""
    from django.contrib.auth.models import Group  # noqa: PLC0415 - models need django.setup()

    from khaacho import permissions  # noqa: PLC0415
    from khaacho.models import User  # noqa: PLC0415

    permissions.sync_groups()
    operator = User.objects.get(phone=logins.OPERATOR_PHONE)
    operator.groups.set(Group.objects.filter(name__in=("Operations", "Credit")))


def _analyze() -> None:
    """Let the planner know of the new rows at once."""
    sql.execute(f"ANALYZE {', '.join(TABLES)}")


def _counts() -> Table:
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for name in TABLES:
        row = sql.fetch_one(f"SELECT count(*) FROM {name}")
        table.add_row(name, f"{row[0]:,}" if row else "")
    return table


def _bands() -> Table:
    """Say how many shops are in each band, and how many of them have an explanation."""
    table = Table("credit score", "shops", "explained", "lowest", "highest")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, *figures in bands():
        table.add_row(name.replace("_", " "), *map(str, figures))
    return table


def bands() -> list[tuple[str, int, int, int, int]]:
    """Return (band, shops, those with an explanation, lowest, highest score), the best band first."""
    from credit.scoring import band  # noqa: PLC0415 - models need django.setup()

    shops: dict[str, list[tuple[int, bool]]] = {}
    for score, is_explained in sql.fetch(SCORES):
        shops.setdefault(band(score), []).append((score, is_explained))
    return [
        (name, len(found), sum(told for _, told in found), found[-1][0], found[0][0])
        for name, found in shops.items()
    ]
