"""The trade that is measured on, with one account whose ledger is as long as the trade."""

from bench import scale

LONGEST = 1_000_000  # entries


def fill(orders: int) -> None:
    """Load a trade of that many orders into the database that is connected and empty."""
    scale.load(scale.Scale(orders=orders, hot_account=min(orders, LONGEST)), done=lambda step: None)
