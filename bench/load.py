"""The trade that is measured on: as many orders as asked for, and an administrator."""

from pathlib import Path
from tempfile import TemporaryDirectory

from bench.trade import history
from bench.trade import load as trade

DAYS = 120


def fill(orders: int) -> None:
    """Load a trade of about that many orders into the database that is connected and empty."""
    with TemporaryDirectory() as folder:
        options = history.Options(days=DAYS, orders_per_day=max(1, orders // DAYS))
        trade.load(options, Path(folder) / "logins.json", lambda step: None)
