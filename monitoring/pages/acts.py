"""Acts that are pressed on a monitoring page: a POST asks, a second one acts, as everywhere in the admin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from khaacho.adminsite import Verb
from khaacho.adminsite.verb_pages import CONFIRM
from khaacho.adminsite.verbs import Failed, new_token, perform, show_failure
from khaacho.models import User
from monitoring.pages.framework import VIEW


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a page asks before an act. `home` is the URL name of the page to which it leads back.

    `facts` are (name, value) of what it will be done to, `statement` what that runs; `said` turns the
    verb's result into (level of the message, sentence).
    """

    verb: Verb
    record: Any
    title: str
    home: str
    home_title: str
    said: Callable[[Any], tuple[int, str]]
    facts: Sequence[tuple[str, Any]] = ()
    statement: str = ""
    hindrance: str = ""


def require(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied unless this person may see the pages and do this."""
    if not (request.user.has_perm(VIEW) and request.user.has_perm(permission)):
        raise PermissionDenied


def back(request: HttpRequest, home: str, message: str) -> HttpResponse:
    """Lead back to a page with an error."""
    messages.error(request, message)
    return HttpResponseRedirect(reverse(home))


def respond(request: HttpRequest, question: Question) -> HttpResponse:
    """Ask, or act; what the service refuses stands above the form, which keeps what was typed."""
    if question.hindrance:
        return back(request, question.home, f"{question.verb.label}: {question.hindrance}.")
    if CONFIRM not in request.POST:
        return _page(request, question, question.verb.form(initial=request.POST.dict()))
    form = question.verb.form(request.POST)
    if not form.is_valid():
        return _page(request, question, form)
    user = cast("User", request.user)
    token = request.POST.get("token") or new_token()
    try:
        result = perform(question.verb, question.record, form.cleaned_data, user, token)
    except Failed as failure:
        show_failure(request, form, failure)
        return _page(request, question, form)
    level, sentence = question.said(result)
    messages.add_message(request, level, sentence)
    return HttpResponseRedirect(reverse(question.home))


def _page(request: HttpRequest, question: Question, form: forms.Form) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": question.title,
        "question": question,
        "verb": question.verb,
        "form": form,
        "token": request.POST.get("token") or new_token(),
    }
    return TemplateResponse(request, "monitoring/pages/act.html", context)
