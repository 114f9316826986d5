"""Acts of staff: a service behind a permission and a page that says what will happen.

The first POST asks, the second acts. A form carries a token of one use, so that a double click acts
once. What a service refuses is shown above the form, which keeps what was typed.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Model
from django.http import HttpRequest

from khaacho import sql, tenants
from khaacho.actors import Actor, act
from khaacho.api import problems
from khaacho.exceptions import Conflict, Invalid, KhaachoError
from khaacho.models import User
from khaacho.rollback import run_after_rollback


def _nothing_hinders(record: Any) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Something staff may do to one record, or (`record` None) to make one.

    `run(record, fields, actor)` calls the service; what it returns is shown when it is a record.
    `effect` says what will happen; `hindrance` why it cannot be done now, or nothing.
    `facts(record)` are sentences above the form: what it will be done to, in numbers.
    `preview(record, fields)` adds a step that shows what these very fields will do.
    """

    name: str
    label: str
    permission: str
    run: Callable[[Any, dict[str, Any], Actor], Any]
    effect: str
    done: str
    form: type[forms.Form] = forms.Form
    hindrance: Callable[[Any], str] = _nothing_hinders
    initial: Callable[[Any], Mapping[str, Any]] | None = None
    facts: Callable[[Any], Sequence[str]] | None = None
    preview: Callable[[Any, dict[str, Any]], Sequence[str]] | None = None
    bulk: bool = False
    is_grave: bool = False

    def allowed(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.permission))

    def blank_form(self, record: Any) -> forms.Form:
        initial = dict(self.initial(record)) if self.initial and record else None
        return self.form(initial=initial)


_added: dict[type[Model], list[Verb]] = defaultdict(list)


def add_verb(target: type[Model], verb: Verb) -> None:
    """Offer an act on another app's object page; for apps above the target's."""
    _added[target].append(verb)


def verbs_of(model: type[Model]) -> list[Verb]:
    """Return the acts that apps above offer on a model's pages."""
    return _added[model]


class Failed(Exception):
    """An act was refused; the message is for people, `errors` are by field."""

    def __init__(self, message: str, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        self.message = message
        self.errors = errors or {}
        super().__init__(message)


def new_token() -> str:
    return secrets.token_urlsafe(16)


def perform(
    verb: Verb, record: Model | None, fields: dict[str, Any], user: User, token: str = ""
) -> Any:
    """Act, in one transaction with the actor named to the database; return what the service returned.

    Raises Failed for refusals, and for a database that is busy or contradicts.
    """
    actor = tenants.actor_of(user)
    try:
        with transaction.atomic():
            act(actor, str(fields.get("reason", "")))
            if token:
                _use_up(token, verb, actor)
            return verb.run(record, fields, actor)
    except KhaachoError as error:
        run_after_rollback(error)
        errors = error.errors if isinstance(error, Invalid) else {}
        raise Failed(error.message, errors) from error
    except (DatabaseError, InterfaceError) as error:
        problem = problems.describe(error)
        if problem.status >= 500 and problem.code == "internal_error":
            raise
        raise Failed(problem.detail) from error


def _use_up(token: str, verb: Verb, actor: Actor) -> None:
    """Take the form's token; a second form with it waits for the first, and finds it taken.

    The space keeps these keys apart from those of the API, which have none.
    """
    taken = sql.execute(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint) VALUES (%s, %s, %s)"
        " ON CONFLICT (user_id, key) DO NOTHING",
        [actor.user_id, f"admin form {token[:64]}", verb.name],
    )
    if not taken:
        raise Conflict("This form was sent already, and was done.")


def show_failure(request: HttpRequest, form: forms.Form, failure: Failed) -> None:
    """Put a refusal above the form and beside its fields."""
    strange: list[str] = []
    for field, texts in failure.errors.items():
        if field in form.fields:
            form.add_error(field, list(texts))
        else:
            strange.extend(texts)
    messages.error(request, " ".join([failure.message, *strange]))


@dataclass(frozen=True)
class Selection:
    """Chosen records, divided into those to which the verb can be done and the others, by reason."""

    ready: list[Any]
    hindered: dict[str, list[Any]]

    @classmethod
    def of(cls, verb: Verb, records: Sequence[Any]) -> "Selection":
        ready: list[Any] = []
        hindered: dict[str, list[Any]] = {}
        for record in records:
            reason = verb.hindrance(record)
            (hindered.setdefault(reason, []) if reason else ready).append(record)
        return cls(ready, hindered)

    @property
    def hindered_count(self) -> int:
        return sum(len(records) for records in self.hindered.values())


def perform_all(
    verb: Verb, records: Sequence[Any], fields: dict[str, Any], user: User
) -> tuple[int, dict[str, list[Any]]]:
    """Act on each record in its own transaction; return how many were done, and the rest by reason."""
    done = 0
    failed: dict[str, list[Any]] = {}
    for record in records:
        try:
            perform(verb, record, fields, user)
        except Failed as failure:
            failed.setdefault(failure.message, []).append(record)
        else:
            done += 1
    return done, failed
