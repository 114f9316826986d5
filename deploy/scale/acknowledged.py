"""Is everything there that clients were told is done? Read from a server itself, around the site."""

from decimal import Decimal
from pathlib import Path

import psycopg

from bench.trade.play import ledger

ORDERS = "SELECT id, order_number FROM orders WHERE id = ANY(%s)"
PAYMENTS = "SELECT id, amount FROM payments WHERE id = ANY(%s)"


def counts(path: Path) -> dict[str, int]:
    """Return how many orders and payments were acknowledged."""
    return {kind: len(rows) for kind, rows in ledger.read(path).items()}


def losses(path: Path, database_url: str) -> list[str]:
    """Say which acknowledged orders and payments this database does not have as they were answered."""
    told = ledger.read(path)
    with psycopg.connect(database_url) as connection:
        orders: dict[int, str] = dict(connection.execute(ORDERS, [list(told["order"])]).fetchall())
        payments: dict[int, Decimal] = dict(
            connection.execute(PAYMENTS, [list(told["payment"])]).fetchall()
        )
    lost = [
        f"order {row['order_number']} was acknowledged; the database has {orders.get(pk, 'nothing')}"
        for pk, row in told["order"].items()
        if orders.get(pk) != row["order_number"]
    ]
    lost += [
        f"payment {row['reference']} of {row['amount']} was acknowledged; the database has"
        f" {payments.get(pk, 'nothing')}"
        for pk, row in told["payment"].items()
        if payments.get(pk) != Decimal(row["amount"])
    ]
    return lost
