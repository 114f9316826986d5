"""What staff see and do about orders."""

from khaacho.adminsite.side_bar import Badge, add_badge
from orders.admin import credit_desk, numbering, orders

__all__ = ["credit_desk", "numbering", "orders"]

add_badge(Badge(entry="orders.orderrefusal", rows="order_refusals WHERE state = 'OPEN'"))
