"""What staff see and do about money received, and about money that is late."""

from payments.admin import dunning, payments

__all__ = ["dunning", "payments"]
