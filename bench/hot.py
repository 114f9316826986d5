"""`python -m bench.hot`: the share of HOT updates, and the tables' sizes, under several fill factors.

Against a loaded demo trade (python -m bench.trade load), which it uses up: limits and stock are raised,
orders are placed, and the measured tables are rewritten before each fill factor. The mix is the same
each time: orders of three lines, half their quantity on a few hot products, go through all verbs and
are paid; jobs run with it. A HOT update leaves every index alone, and its dead row needs no vacuum; it
takes a free spot on the row's page, and no indexed column that changes.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import django

TABLES = (
    "credit_accounts",
    "vendor_products",
    "retailers",
    "invoice_counters",
    "idempotency_keys",
    "jobs",
    "orders",
    "payments",
)
FILLFACTORS = (100, 90, 80, 70, 50)
SHOPS, VENDORS, HOT = 60, 4, 5


@dataclass(frozen=True)
class Row:
    """One table under one fill factor: updates, those that were HOT, and kB before and after."""

    table: str
    fillfactor: int
    updates: int
    hot: int
    before: int
    after: int

    @property
    def share(self) -> float:
        return self.hot / self.updates if self.updates else 0.0


@dataclass(frozen=True)
class World:
    """Who orders what: shops, and each vendor's offers as (offer, product), the hot ones first."""

    shops: Sequence[int]
    offers: dict[int, list[int]]


def make_world() -> World:
    """Give some shops and offers so much limit and stock that nothing is refused."""
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    shops = sql.fetch(
        "UPDATE retailers SET credit_limit = 900000000 WHERE id IN (SELECT id FROM retailers"
        " WHERE is_approved AND NOT is_blocked AND deleted_at IS NULL AND NOT EXISTS (SELECT FROM orders"
        " WHERE retailer_id = retailers.id AND due_date < now() - interval '30 days' AND due_amount > 0)"
        " ORDER BY id LIMIT %s) RETURNING id",
        [SHOPS],
    )
    sql.execute("UPDATE credit_accounts SET credit_limit = NULL")
    sql.execute("UPDATE vendor_products SET stock = stock + 1000000, is_available = true")
    offers: dict[int, list[int]] = {}
    for vendor_id, product_id in sql.fetch(
        "SELECT o.vendor_id, o.product_id FROM vendor_products o JOIN vendors v ON v.id = o.vendor_id"
        " JOIN products p ON p.id = o.product_id WHERE v.is_approved AND NOT v.is_blocked"
        " AND p.is_active AND p.min_quantity = 1 ORDER BY o.vendor_id, o.id"
    ):
        offers.setdefault(vendor_id, []).append(product_id)
    large = sorted(offers, key=lambda v: -len(offers[v]))[:VENDORS]
    return World([row[0] for row in shops], {v: offers[v] for v in large})


def play(world: World, orders: int, seed: int) -> None:
    """Place, route, accept, dispatch, deliver and pay `orders` orders; run the jobs that follow."""
    from bench.harness.client import Client, person  # noqa: PLC0415 - after django.setup()
    from khaacho import jobs, tenants  # noqa: PLC0415
    from khaacho.actors import SYSTEM  # noqa: PLC0415
    from khaacho.models import User  # noqa: PLC0415
    from orders import services  # noqa: PLC0415
    from payments import services as payments  # noqa: PLC0415
    from payments.enums import PaymentMethod  # noqa: PLC0415

    choice = random.Random(seed)
    users = User.objects.filter(retailer__in=world.shops).order_by("pk")
    clients = [Client([person(tenants.actor_of(user))]) for user in users]
    steps = (
        services.accept_order,
        services.pack_order,
        services.dispatch_order,
        services.send_out_order,
        services.deliver_order,
    )
    for _ in range(orders):
        vendor_id = choice.choice(list(world.offers))
        products = world.offers[vendor_id]
        wanted = {choice.choice(products[:HOT]), *choice.sample(products[HOT:], 2)}
        body = {
            "vendor_id": vendor_id,
            "payment_terms": "CREDIT",
            "items": [{"product_id": product, "quantity": 1} for product in sorted(wanted)],
        }
        answer = choice.choice(clients).post("/api/v1/orders/", json.dumps(body).encode())
        order = json.loads(answer)
        services.route_order(order_id=order["id"])
        for step in steps:
            step(order_id=order["id"], actor=SYSTEM)
        payments.record_payment(
            retailer_id=order["retailer_id"],
            vendor_id=vendor_id,
            amount=Decimal(order["total"]),
            method=PaymentMethod.CASH,
            actor=SYSTEM,
        )
        jobs.run_due(20)


@contextmanager
def fillfactors_restored() -> Iterator[None]:
    """Put each table's own setting back, whatever happens between."""
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    own = sql.fetch(
        "SELECT c.relname, o.option_value FROM pg_class c"
        " LEFT JOIN pg_options_to_table(c.reloptions) o ON o.option_name = 'fillfactor'"
        " WHERE c.oid = ANY (%s::regclass[])",
        [list(TABLES)],
    )
    try:
        yield
    finally:
        for table, value in own:
            change = f"SET (fillfactor = {value})" if value else "RESET (fillfactor)"
            sql.execute(f"ALTER TABLE {table} {change}")


def measure(world: World, fillfactor: int, orders: int, seed: int) -> list[Row]:
    """Rewrite the tables with the fill factor, play, and return what PostgreSQL counted."""
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    for table in TABLES:
        sql.execute(f"ALTER TABLE {table} SET (fillfactor = {fillfactor})")
        sql.execute(f"VACUUM FULL {table}")
    before = _sizes()
    counted = _counts()
    play(world, orders, seed)
    sql.execute("SELECT pg_stat_force_next_flush()")
    after, now = _sizes(), _counts()
    return [
        Row(
            table,
            fillfactor,
            now[table][0] - counted[table][0],
            now[table][1] - counted[table][1],
            before[table],
            after[table],
        )
        for table in TABLES
    ]


def _sizes() -> dict[str, int]:
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    return {t: sql.fetch("SELECT pg_table_size(%s::regclass) / 1024", [t])[0][0] for t in TABLES}


def _counts() -> dict[str, tuple[int, int]]:
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    rows = sql.fetch(
        "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = ANY (%s)",
        [list(TABLES)],
    )
    return {name: (updates, hot) for name, updates, hot in rows}


def report(rows: Sequence[Row]) -> str:
    """Return a Markdown table: per table and fill factor, the HOT share and the growth."""
    lines = [
        "| table | fill factor | updates | HOT | kB before | kB after |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.table} | {row.fillfactor} | {row.updates} | {row.share:.0%} | {row.before} | {row.after} |"
        for row in sorted(rows, key=lambda r: (TABLES.index(r.table), -r.fillfactor))
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each fill factor, print the table; write it too when a file is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot", description=__doc__)
    parser.add_argument("--orders", type=int, default=300, help="orders per fill factor")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same orders")
    parser.add_argument("--fillfactors", type=int, nargs="+", default=FILLFACTORS)
    parser.add_argument("--output", type=Path, help="a Markdown file")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    from khaacho import sql  # noqa: PLC0415 - after django.setup()

    sql.execute("SET synchronous_commit = off")  # pages are measured here, not commits
    world = make_world()
    if not world.offers:
        raise SystemExit("no trade is loaded: python -m bench.trade load")
    rows: list[Row] = []
    with fillfactors_restored():
        for fillfactor in arguments.fillfactors:
            begun = time.monotonic()
            rows += measure(world, fillfactor, arguments.orders, arguments.seed)
            print(f"fill factor {fillfactor}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    text = report(rows)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
