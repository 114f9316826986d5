"""Columns that orders and refusals share."""

from decimal import Decimal

from khaacho.adminsite.columns import EMPTY
from khaacho.money import format_npr


def against(exposure: Decimal | None, limit: Decimal | None) -> str:
    if exposure is None:
        return EMPTY
    return f"{format_npr(exposure)} of {format_npr(limit) if limit is not None else 'no limit'}"
