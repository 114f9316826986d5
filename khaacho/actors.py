"""Who asks. An actor is a parameter of every verb, never a thread-local."""

from dataclasses import dataclass

from django.db import connection, transaction

from khaacho.enums import STAFF_ROLES, Role
from khaacho.exceptions import AccountInactive, Forbidden


@dataclass(frozen=True)
class Actor:
    """A signed-in user, or the system itself when `user_id` is None."""

    user_id: int | None
    role: Role | None
    name: str = ""
    retailer_id: int | None = None
    vendor_id: int | None = None

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def is_staff(self) -> bool:
        """Whether this is an employee or the system, who see every tenant."""
        return self.role is None or self.role in STAFF_ROLES

    @property
    def pk(self) -> int | None:
        return self.user_id


SYSTEM = Actor(user_id=None, role=None, name="system")


def act(actor: Actor, reason: str = "") -> None:
    """Name the actor to the database for the rest of this transaction: the audit triggers read it.

    One statement, which also checks that the user is still active: a token outlives a revocation by
    up to five minutes, and in that time must not move money, stock or state.
    Raises AccountInactive.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("act() outside a transaction")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('khaacho.actor', %s, true), set_config('khaacho.reason', %s, true),"
            " coalesce((SELECT is_active AND deleted_at IS NULL FROM users WHERE id = %s), %s)",
            [str(actor.user_id or ""), reason[:500], actor.user_id, actor.user_id is None],
        )
        if not cursor.fetchone()[2]:
            raise AccountInactive


def require_staff(actor: Actor) -> None:
    """Raise Forbidden unless the actor is an employee or the system."""
    if not actor.is_staff:
        raise Forbidden


def require_tenant(
    actor: Actor, *, retailer_id: int | None = None, vendor_id: int | None = None
) -> None:
    """Raise Forbidden unless the actor is staff or belongs to the retailer or vendor named."""
    if actor.is_staff:
        return
    if retailer_id is not None and actor.retailer_id == retailer_id:
        return
    if vendor_id is not None and actor.vendor_id == vendor_id:
        return
    raise Forbidden
