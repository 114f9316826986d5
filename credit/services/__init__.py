"""Verbs on retailers, credit accounts and the ledger."""

from credit.services.exposure import (
    Exposure,
    approve_excess,
    freeze_account,
    open_account,
    release,
    reserve,
    unfreeze_account,
    use_approval,
)
from credit.services.ledger import DeliveryEntry, Entry, post_delivery, post_entry, reverse_entry
from credit.services.limits import change_limit, change_terms, decide_limit_change
from credit.services.retailers import (
    approve_retailer,
    block_retailer,
    lock_retailers,
    register_retailer,
    unblock_retailer,
)
from credit.services.scores import ask_for_scoring, record_scores
from credit.services.suggesting import suggest_limit

__all__ = [
    "DeliveryEntry",
    "Entry",
    "Exposure",
    "approve_excess",
    "approve_retailer",
    "ask_for_scoring",
    "block_retailer",
    "change_limit",
    "change_terms",
    "decide_limit_change",
    "freeze_account",
    "lock_retailers",
    "open_account",
    "post_delivery",
    "post_entry",
    "record_scores",
    "register_retailer",
    "release",
    "reserve",
    "reverse_entry",
    "suggest_limit",
    "unblock_retailer",
    "unfreeze_account",
    "use_approval",
]
