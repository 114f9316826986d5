"""How a person works the admin: the address of a page, the first press of a button, the second."""

from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

Model = Any


def name_of(model: Model) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def list_of(model: Model) -> str:
    return reverse(f"admin:{name_of(model)}_changelist")


def page_of(record: Model) -> str:
    return reverse(f"admin:{name_of(record)}_change", args=[record.pk])


def verb_of(record: Model, verb: str) -> str:
    return reverse(f"admin:{name_of(record)}_verb", args=[record.pk, verb])


def ask(client: Client, record: Model, verb: str) -> HttpResponse:
    return client.post(verb_of(record, verb))


def act(client: Client, record: Model, verb: str, **fields: Any) -> HttpResponse:
    return client.post(verb_of(record, verb), {**fields, "_confirm": "1"}, follow=True)


def choose(client: Client, verb: str, *records: Model, **fields: Any) -> HttpResponse:
    """Choose records in a list and run a bulk act; with `_confirm` it is done."""
    data = {"action": verb, "_selected_action": [r.pk for r in records], **fields}
    return client.post(list_of(records[0]), data, follow="_confirm" in fields)


def texts(response: HttpResponse) -> str:
    """Return the messages shown, joined."""
    return " | ".join(str(message) for message in response.context["messages"])
