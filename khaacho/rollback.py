"""What must survive a refusal: work that a verb asks for once its own transaction is undone.

A service that refuses and must remember the refusal sets `error.after_rollback` to a function before
raising; whoever called the service and stands outside its transaction calls `run_after_rollback`.
The API does so for every view. A function left on the error runs once.
"""

import logging

from django.db import Error

log = logging.getLogger(__name__)


def run_after_rollback(error: BaseException) -> None:
    """Run and forget the error's `after_rollback`, if any; call it outside the failed transaction.

    A database that fails here is logged: the refusal itself is still the answer.
    """
    hook = getattr(error, "after_rollback", None)
    if hook is None:
        return
    error.after_rollback = None  # type: ignore[attr-defined]
    try:
        hook()
    except Error:
        log.exception("rollback.hook_failed", extra={"error": type(error).__name__})
