"""What a verb may answer instead of doing its work. The docstring is the message unless one is given."""

from collections.abc import Callable


class KhaachoError(Exception):
    """The request cannot be carried out."""

    code = "error"
    status = 422
    # Called once by whoever rolled the verb's transaction back: keeps what must outlive the refusal.
    after_rollback: Callable[[], None] | None = None
    # What the verb had read was overtaken before it was locked: a new transaction may well succeed.
    is_stale = False

    def __init__(self, message: str = "", **extra: object) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.extra = extra
        super().__init__(self.message)


class Refused(KhaachoError):
    """A business rule said no."""

    code = "refused"
    status = 422


class Invalid(KhaachoError):
    """The request is malformed.

    `errors` maps a field to its messages.
    """

    code = "invalid"
    status = 400

    def __init__(self, message: str = "", *, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message or "The request is malformed.")
        self.errors = errors or {}


class Conflict(KhaachoError):
    """The record is not in a state that allows this."""

    code = "conflict"
    status = 409


class Forbidden(KhaachoError):
    """You may not do this."""

    code = "permission_denied"
    status = 403


class NotFound(KhaachoError):
    """There is no such record, or it is not yours."""

    code = "not_found"
    status = 404


class AccountInactive(Forbidden):
    """This user is no longer active."""

    code = "account_inactive"


class RequestInProgress(Conflict):
    """A request with this idempotency key is still running."""

    code = "request_in_progress"


class IdempotencyKeyReused(Refused):
    """This idempotency key was used for another request."""

    code = "idempotency_key_reused"


class IdempotencyKeyMissing(Invalid):
    """This request needs an Idempotency-Key header."""

    code = "idempotency_key_missing"


class LeaseLost(KhaachoError):
    """Another worker took this job over."""

    code = "lease_lost"
    status = 409


class JobCancelled(LeaseLost):
    """This job was cancelled."""

    code = "job_cancelled"
