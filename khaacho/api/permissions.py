"""Who may knock at an endpoint. Whose record it is, is decided by `for_user` and by the verb itself.

Classes combine with `|` and `&`: `permission_classes = [IsRetailer | IsStaff]`. Somebody who has not
signed in is answered 401, never 403.
"""

from typing import Any

from rest_framework.permissions import BasePermission, OperandHolder
from rest_framework.request import Request

from khaacho.actors import Actor
from khaacho.enums import Role


def _actor(request: Request) -> Actor | None:
    user: object = request.user
    return user if isinstance(user, Actor) else None


class SignedIn(BasePermission):
    """Anybody with a valid access token; the default of every view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        actor = _actor(request)
        return actor is not None and self.allows(actor)

    def allows(self, actor: Actor) -> bool:
        return True


class IsStaff(SignedIn):
    """ADMIN and OPERATOR."""

    def allows(self, actor: Actor) -> bool:
        return actor.is_staff


class IsAdmin(SignedIn):
    """ADMIN alone."""

    def allows(self, actor: Actor) -> bool:
        return actor.role == Role.ADMIN


class IsRetailer(SignedIn):
    """A RETAILER who has a shop."""

    def allows(self, actor: Actor) -> bool:
        return actor.role == Role.RETAILER and actor.retailer_id is not None


class IsVendor(SignedIn):
    """A VENDOR who has a wholesale business."""

    def allows(self, actor: Actor) -> bool:
        return actor.role == Role.VENDOR and actor.vendor_id is not None


IsRetailerOrStaff: OperandHolder = IsRetailer | IsStaff
IsVendorOrStaff: OperandHolder = IsVendor | IsStaff
