"""What staff see and do about credit."""

from credit.admin import accounts, limits, retailers
from khaacho.adminsite.side_bar import Badge, add_badge

__all__ = ["accounts", "limits", "retailers"]

add_badge(Badge(entry="credit.limitchange", rows="credit_limit_changes WHERE state = 'PENDING'"))
