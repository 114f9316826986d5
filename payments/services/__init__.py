"""Verbs on money received."""

from payments.services.recording import (
    Allocation,
    apply_advances,
    divide,
    lock_owing,
    record_payment,
    reverse_payment,
)

__all__ = [
    "Allocation",
    "apply_advances",
    "divide",
    "lock_owing",
    "record_payment",
    "reverse_payment",
]
