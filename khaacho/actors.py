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


# A statement that begins `WITH {ACTING}` names the actor on its way; it must select
# `acting.is_active`, which goes to `require_active`. One condition, so that no part is left out.
ACTING = (
    "acting AS MATERIALIZED (SELECT set_config('khaacho.actor', %(actor_name)s, true) IS NOT NULL"
    " AND set_config('khaacho.reason', %(actor_reason)s, true) IS NOT NULL"
    " AND coalesce((SELECT u.is_active AND u.deleted_at IS NULL FROM users u"
    " WHERE u.id = %(actor_id)s), %(actor_id)s IS NULL) AS is_active)"
)


def acting(actor: Actor, reason: str = "") -> dict[str, str | int | None]:
    """Return the parameters of ACTING. Raises TransactionManagementError outside a transaction."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("an actor is named within a transaction")
    return {
        "actor_name": str(actor.user_id or ""),
        "actor_reason": reason[:500],
        "actor_id": actor.user_id,
    }


def require_active(is_active: bool) -> None:
    """Raise AccountInactive unless the statement that named the actor found the user active."""
    if not is_active:
        raise AccountInactive


def act(actor: Actor, reason: str = "") -> None:
    """Name the actor to the database for the rest of this transaction: the audit triggers read it.

    One statement, which also checks that the user is still active: a token outlives a revocation by
    up to five minutes, and in that time must not move money, stock or state.
    Raises AccountInactive.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {ACTING} SELECT is_active FROM acting", acting(actor, reason))
        require_active(cursor.fetchone()[0])


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
