"""The page of one statement's plan: it takes a queryid from its address, and nothing else from anybody."""

from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, register_converter
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from khaacho.exceptions import KhaachoError
from monitoring.advice import plans
from monitoring.advice.plans import Plan
from monitoring.advice.statements import QUERYID_MAX, NoStatement

VIEW = "monitoring.view_database"


class QueryId:
    """A signed number of 64 bits, in ASCII digits and in its usual form: each has one address."""

    regex = "-?[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if str(number) != value or not -QUERYID_MAX - 1 <= number <= QUERYID_MAX:
            raise ValueError
        return number

    def to_url(self, value: object) -> str:
        return str(int(str(value)))


register_converter(QueryId, "queryid")


@dataclass(frozen=True)
class Answer:
    """A plan, or in a sentence why there is none."""

    plan: Plan | None
    trouble: str = ""


def answer_of(queryid: int) -> Answer:
    """Return what to show for a statement. Raises NoStatement."""
    try:
        return Answer(plans.explain(queryid))
    except NoStatement:
        raise
    except KhaachoError as error:
        return Answer(None, error.message)


@never_cache
@require_safe
def plan(request: HttpRequest, queryid: int) -> HttpResponse:
    """Show a statement's generic plan."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    try:
        answer = answer_of(queryid)
    except NoStatement:
        raise Http404 from None
    context = {
        **admin.site.each_context(request),
        "title": _("Plan of a statement"),
        "queryid": queryid,
        "answer": answer,
    }
    return TemplateResponse(request, "monitoring/plan.html", context)


urlpatterns: list[URLPattern | URLResolver] = [
    path("<queryid:queryid>/", admin.site.admin_view(plan), name="database-plan"),
]
