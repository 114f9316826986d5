"""The trades that are measured on, with one account whose ledger is as long as the trade."""

from bench import scale

LONGEST = 1_000_000  # entries
FULL_MOST = 2_000_000  # orders; a larger trade is a lean one, that a disk of 50 GB has room for it


def is_lean(orders: int) -> bool:
    """Return whether a trade of so many orders is loaded without lines, logs, messages and jobs."""
    return orders > FULL_MOST


def fill(orders: int) -> None:
    """Load a trade of that many orders into the database that is connected and empty."""
    options = scale.Scale(orders=orders, hot_account=min(orders, LONGEST), lean=is_lean(orders))
    scale.load(options, done=lambda step: None)
