"""Verbs on money received, and on money that is late."""

from payments.services.collection import finish_task, reopen_tasks, void_tasks
from payments.services.disputes import open_dispute, resolve_dispute
from payments.services.promises import (
    break_promises,
    cancel_promise,
    close_promises,
    keep_promises,
    record_promise,
)
from payments.services.recording import (
    Allocation,
    apply_advances,
    divide,
    lock_owing,
    record_payment,
    reverse_payment,
)
from payments.services.reminders import (
    NoticeLine,
    confirm_notice,
    drop_notice,
    find_reminders,
    lapse_notices,
    mark_sent,
    notice_lines,
    plan_reminders,
)

__all__ = [
    "Allocation",
    "NoticeLine",
    "apply_advances",
    "break_promises",
    "cancel_promise",
    "close_promises",
    "confirm_notice",
    "divide",
    "drop_notice",
    "find_reminders",
    "finish_task",
    "keep_promises",
    "lapse_notices",
    "lock_owing",
    "mark_sent",
    "notice_lines",
    "open_dispute",
    "plan_reminders",
    "record_payment",
    "record_promise",
    "reopen_tasks",
    "resolve_dispute",
    "reverse_payment",
    "void_tasks",
]
