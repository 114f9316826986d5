"""What staff see and do about orders."""

from orders.admin import credit_desk, numbering, orders

__all__ = ["credit_desk", "numbering", "orders"]
