"""What staff do to users. Nobody but an administrator touches an administrator."""

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from khaacho import audit, tokens
from khaacho.actors import Actor, act, require_staff
from khaacho.enums import STAFF_ROLES, Role
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import User


@transaction.atomic
def add_staff(
    *, phone: str, name: str, role: Role, password: str, groups: Iterable[Group], actor: Actor
) -> User:
    """Create an employee in the groups given. Only administrators make administrators.

    Raises Conflict when the phone is taken, Invalid for a weak password.
    """
    act(actor)
    _require_rank(actor, role)
    if role not in STAFF_ROLES:
        raise Invalid(errors={"role": ["Shops and wholesalers are registered elsewhere."]})
    if User.objects.filter(phone=phone).exists():
        raise Conflict("This phone number is registered already.")
    _check_password(password, User(phone=phone, name=name))
    user = User.objects.create_user(phone, password, name=name, role=role)
    set_groups(user=user, groups=groups, actor=actor)
    return user


@transaction.atomic
def set_groups(*, user: User, groups: Iterable[Group], actor: Actor) -> None:
    """Make these the user's groups, on record. Only administrators give rights away."""
    act(actor)
    before = set(user.groups.values_list("name", flat=True))
    wanted = list(groups)
    after = {group.name for group in wanted}
    if before == after:
        return
    if actor.role not in (None, Role.ADMIN):
        raise Forbidden("Only an administrator changes what others may do.")
    user.groups.set(wanted)
    audit.record(
        actor,
        "user.groups_changed",
        entity_type="user",
        entity_id=user.pk,
        groups=", ".join(sorted(after)),
    )


@transaction.atomic
def reset_password(*, user_id: int, password: str, actor: Actor) -> None:
    """Give a user a new password and end every session of theirs. Raises Invalid for a weak one."""
    act(actor)
    user = _lock(user_id, actor)
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    tokens.revoke_all(user_id)
    audit.record(actor, "user.password_reset", entity_type="user", entity_id=user_id)


@transaction.atomic
def deactivate(*, user_id: int, reason: str, actor: Actor) -> None:
    """Shut a user out at once; what they did stays. Raises Forbidden for oneself, Conflict."""
    act(actor, reason)
    if user_id == actor.user_id:
        raise Forbidden("You cannot deactivate yourself.")
    user = _lock(user_id, actor)
    if not user.is_active:
        raise Conflict(f"{user.name} is not active.")
    User.objects.filter(pk=user_id).update(is_active=False)
    tokens.revoke_all(user_id)
    audit.record(actor, "user.deactivated", entity_type="user", entity_id=user_id, reason=reason)


@transaction.atomic
def activate(*, user_id: int, actor: Actor) -> None:
    """Let a deactivated user in again. Raises Conflict."""
    act(actor)
    user = _lock(user_id, actor)
    if user.is_active:
        raise Conflict(f"{user.name} is active.")
    User.objects.filter(pk=user_id).update(is_active=True)
    audit.record(actor, "user.activated", entity_type="user", entity_id=user_id)


def _lock(user_id: int, actor: Actor) -> User:
    user = (
        User.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=user_id, deleted_at=None)
        .first()
    )
    if user is None:
        raise NotFound
    _require_rank(actor, Role(user.role))
    return user


def _require_rank(actor: Actor, role: Role) -> None:
    require_staff(actor)
    if role == Role.ADMIN and actor.role not in (None, Role.ADMIN):
        raise Forbidden("Only an administrator may do this to an administrator.")


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(errors={"password": error.messages}) from error
