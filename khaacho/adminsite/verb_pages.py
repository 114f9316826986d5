"""The pages of a verb: for one record, for a new one, and for a selection of a list."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.forms import NprField
from khaacho.adminsite.verbs import (
    Failed,
    Selection,
    Verb,
    new_token,
    perform,
    perform_all,
    show_failure,
)
from khaacho.models import User
from khaacho.money import ZERO, format_npr

TEMPLATE = "admin/verb.html"
BULK_LIMIT = 200  # records acted on in one request
NAMED = 5  # records named in a message
CONFIRM, PREVIEW = "_confirm", "_preview"


def respond(
    admin: "ModelAdmin[Any]", request: HttpRequest, verb: Verb, record: Model | None
) -> HttpResponse:
    """Ask, preview, or act; the button that was pressed decides."""
    if record is not None and (hindrance := verb.hindrance(record)):
        messages.error(request, f"{verb.label} is not possible for {record}: {hindrance}.")
        return HttpResponseRedirect(address(admin, record))
    if CONFIRM in request.POST:
        return _act(admin, request, verb, record)
    if PREVIEW in request.POST:
        return _preview(admin, request, verb, record)
    return _page(admin, request, verb, record, verb.blank_form(record))


def _act(
    admin: "ModelAdmin[Any]", request: HttpRequest, verb: Verb, record: Model | None
) -> HttpResponse:
    form = verb.form(request.POST)
    if not form.is_valid():
        return _page(admin, request, verb, record, form)
    token = request.POST.get("token") or new_token()
    try:
        result = perform(verb, record, form.cleaned_data, cast("User", request.user), token)
    except Failed as failure:
        show_failure(request, form, failure)
        return _page(admin, request, verb, record, form)
    shown = record or result
    messages.success(request, verb.done.format(record=shown))
    return HttpResponseRedirect(address(admin, shown))


def _preview(
    admin: "ModelAdmin[Any]", request: HttpRequest, verb: Verb, record: Model | None
) -> HttpResponse:
    form = verb.form(request.POST)
    if not form.is_valid() or verb.preview is None:
        return _page(admin, request, verb, record, form)
    lines = verb.preview(record, form.cleaned_data)
    return _page(admin, request, verb, record, form, lines=lines, given=_given(form))


def _given(form: forms.Form) -> list[tuple[str, Any]]:
    """Return (label, value) of each filled field, for reading."""
    values = ((field, form.cleaned_data.get(field.name)) for field in form)
    return [
        (str(bound.label), _readable(bound.field, value))
        for bound, value in values
        if value not in (None, "")
    ]


def _readable(field: forms.Field, value: Any) -> Any:
    if isinstance(field, NprField):
        return format_npr(value)
    if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
        return dict(field.widget.choices).get(value, value)
    return value


def _page(
    admin: "ModelAdmin[Any]",
    request: HttpRequest,
    verb: Verb,
    record: Model | None,
    form: forms.Form,
    **more: Any,
) -> HttpResponse:
    context = _context(admin, request, verb, form) | {
        "title": verb.label if record is None else f"{verb.label}: {record}",
        "record": record,
        "record_url": address(admin, record),
        "facts": verb.facts(record) if verb.facts else (),
        "asks_first": verb.preview is not None and "lines" not in more,
        "token": request.POST.get("token") or new_token(),
        **more,
    }
    return TemplateResponse(request, TEMPLATE, context)


def _context(
    admin: "ModelAdmin[Any]", request: HttpRequest, verb: Verb, form: forms.Form
) -> dict[str, Any]:
    return {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "verb": verb,
        "form": form,
        "media": admin.media + form.media,
    }


def address(admin: "ModelAdmin[Any]", record: object) -> str:
    """Return the address of a record's page, or of the list when there is none; or their `home`."""
    if home := getattr(admin, "home", ""):
        return reverse(home)
    options = admin.opts
    prefix = f"admin:{options.app_label}_{options.model_name}"
    if isinstance(record, admin.model):
        return reverse(f"{prefix}_change", args=[record.pk])
    return reverse(f"{prefix}_changelist")


def respond_to_selection(
    admin: "ModelAdmin[Any]",
    request: HttpRequest,
    verb: Verb,
    queryset: QuerySet[Any],
    amount: str,
) -> HttpResponse | None:
    """Say what will happen to the chosen records, or do it; None leads back to the list.

    `amount` names the money field that is added up, or is empty.
    """
    records = list(queryset[: BULK_LIMIT + 1])
    if len(records) > BULK_LIMIT:
        messages.error(request, f"Choose at most {BULK_LIMIT} at once; nothing was done.")
        return None
    selection = Selection.of(verb, records)
    confirmed = CONFIRM in request.POST
    form = verb.form(request.POST) if confirmed else verb.form()
    if confirmed and form.is_valid():
        _act_on(request, verb, selection, form.cleaned_data)
        return None
    total = sum((getattr(record, amount) for record in selection.ready), ZERO) if amount else None
    context = _context(admin, request, verb, form) | {
        "title": f"{verb.label}: {len(records)} {admin.opts.verbose_name_plural}",
        "selection": selection,
        "hindered": _named(selection.hindered),
        "chosen": len(records),
        "total": EMPTY if total is None else format_npr(total),
        "has_total": total is not None,
        "record_url": request.get_full_path(),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, TEMPLATE, context)


def _act_on(request: HttpRequest, verb: Verb, selection: Selection, fields: dict[str, Any]) -> None:
    done, failed = perform_all(verb, selection.ready, fields, cast("User", request.user))
    chosen = len(selection.ready) + selection.hindered_count
    level = messages.SUCCESS if done else messages.WARNING
    messages.add_message(request, level, f"{verb.label}: {done} of {chosen} done.")
    for line in _named(selection.hindered | failed):
        messages.error(request, f"Not done: {line}.")


def _named(groups: dict[str, list[Any]]) -> list[str]:
    """Return `3, it is delivered: ORD-1, ORD-2, ORD-3` for each reason."""
    lines = []
    for reason, records in groups.items():
        names = ", ".join(str(record) for record in records[:NAMED])
        more = ", …" if len(records) > NAMED else ""
        lines.append(f"{len(records)}, {reason.rstrip('.')}: {names}{more}")
    return lines
