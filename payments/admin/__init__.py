"""What staff see and do about money received, and about money that is late."""

from khaacho.adminsite.side_bar import Badge, add_badge
from payments.admin import dunning, payments

__all__ = ["dunning", "payments"]

add_badge(Badge(entry="payments.collectiontask", rows="collection_tasks WHERE state = 'OPEN'"))
