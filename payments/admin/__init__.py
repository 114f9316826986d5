"""What staff see and do about money received, and about money that is late."""

from payments.admin import payments

__all__ = ["payments"]
