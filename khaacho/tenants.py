"""Whose shop a user speaks for. Apps above register how to find it; the bottom layer only asks."""

from django.utils.module_loading import import_string

from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.models import User

_selectors: dict[Role, str] = {}


def register(role: Role, selector: str) -> None:
    """Find the tenant of that role's users with `selector`; called from AppConfig.ready().

    `selector` is the dotted path of a function `(user_id: int) -> int | None`: the id of the user's
    retailer or vendor.
    """
    _selectors[role] = selector


def tenant_id(user_id: int, role: Role) -> int | None:
    """Return the id of the user's retailer or vendor; None for staff. At most one query."""
    selector = _selectors.get(role)
    if selector is None:
        return None
    found: int | None = import_string(selector)(user_id)
    return found


def actor_of(user: User) -> Actor:
    """Return the user as an actor, for the admin's `request.user` and for tokens."""
    role = Role(user.role)
    tenant = tenant_id(user.pk, role)
    return Actor(
        user_id=user.pk,
        role=role,
        name=user.name,
        retailer_id=tenant if role == Role.RETAILER else None,
        vendor_id=tenant if role == Role.VENDOR else None,
    )
