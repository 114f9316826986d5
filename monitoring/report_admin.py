"""Reports: asked for, watched, cancelled and downloaded by staff; statements also from a retailer's page."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminDateWidget
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from credit.models import CreditAccount, Retailer
from khaacho import tenants
from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    add_panel,
    add_verb,
    computed,
    sections,
)
from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.forms import NprField, chooser
from khaacho.exceptions import Forbidden, Invalid, KhaachoError, NotFound
from khaacho.models import User
from monitoring import services
from monitoring.enums import OPEN_REPORT_STATES, ReportFormat, ReportKind, ReportState
from monitoring.models import Report
from monitoring.reports import downloads
from monitoring.reports.kinds import KINDS

DOWNLOAD = "monitoring.download_report"
GROUPS = sorted({group for kind in KINDS.values() for group in kind.allowed.groups})
# Filters whose fields in the forms have other names.
FIELDS = {
    "from": "first_day",
    "to": "last_day",
    "retailer_id": "retailer",
    "vendor_id": "vendor",
}


class PeriodForm(forms.Form):
    """Days of Kathmandu, both included, and the form of the file."""

    format = forms.ChoiceField(choices=ReportFormat.choices, initial=ReportFormat.XLSX)
    first_day = forms.DateField(
        required=False, widget=AdminDateWidget, help_text="Without one, 30 days before the last."
    )
    last_day = forms.DateField(
        required=False, widget=AdminDateWidget, help_text="Without one, today."
    )


class StatementForm(PeriodForm):
    format = forms.ChoiceField(choices=ReportFormat.choices, initial=ReportFormat.PDF)


class ReportForm(PeriodForm):
    """All that any kind may be narrowed to; what a kind does not know is refused beside its field."""

    kind = forms.ChoiceField(choices=ReportKind.choices)
    group_by = forms.ChoiceField(
        required=False,
        choices=[("", "its usual way"), *((group, group) for group in GROUPS)],
        help_text="Credit summary: retailer or account. Purchase volume: retailer, vendor, product or month.",
    )
    retailer = chooser(Report, "retailer", required=False)
    vendor = chooser(CreditAccount, "vendor", required=False)
    district = forms.CharField(max_length=40, required=False)
    min_outstanding = NprField(required=False, label="Outstanding at least", min_value=0)
    field_order = ("kind", "format")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the filters that were filled in."""
    given = {
        "from": fields.get("first_day"),
        "to": fields.get("last_day"),
        "retailer_id": getattr(fields.get("retailer"), "pk", None),
        "vendor_id": getattr(fields.get("vendor"), "pk", None),
        "district": fields.get("district"),
        "min_outstanding": fields.get("min_outstanding"),
        "group_by": fields.get("group_by"),
    }
    return {name: value for name, value in given.items() if value not in (None, "")}


def _request(kind: ReportKind, fields: dict[str, Any], actor: Actor) -> Report:
    try:
        return services.request_report(
            kind=kind, form=ReportFormat(fields["format"]), given=_given(fields), actor=actor
        )
    except Invalid as error:
        errors = {FIELDS.get(name, name): texts for name, texts in error.errors.items()}
        raise Invalid(error.message, errors=errors) from error


def _request_any(_: None, fields: dict[str, Any], actor: Actor) -> Report:
    return _request(ReportKind(fields["kind"]), fields, actor)


def _request_statement(shop: Retailer, fields: dict[str, Any], actor: Actor) -> Report:
    return _request(ReportKind.STATEMENT, {**fields, "retailer": shop}, actor)


def _is_over(report: Report) -> str:
    return "" if report.state in OPEN_REPORT_STATES else f"it is {report.state}"


@computed("progress")
def _progress(report: Report) -> str:
    if report.state not in OPEN_REPORT_STATES:
        return EMPTY
    return format_html(
        '<progress value="{0}" max="100" aria-label="Progress">{0} %</progress> {0} %',
        report.progress,
    )


@computed("size")
def _size(report: Report) -> str:
    return EMPTY if report.size is None else filesizeformat(report.size)


@computed("file")
def _file(report: Report) -> str:
    if report.state != ReportState.DONE:
        return EMPTY
    if report.expires_at is not None and report.expires_at < timezone.now():
        return "no longer kept"
    address = reverse("admin:monitoring_report_download", args=[report.pk])
    return format_html('<a href="{}">Download</a>', address)


@computed("filters")
def _filters(report: Report) -> str:
    said = (f"{name.replace('_', ' ')}: {value}" for name, value in sorted(report.filters.items()))
    return ", ".join(said) or EMPTY


@computed("requested by")
def _asker(report: Report) -> str:
    return report.requested_by.name if report.requested_by else "by the month"


@computed("job")
def _job(report: Report) -> str:
    if report.job_id is None:
        return EMPTY
    address = reverse("admin:khaacho_job_change", args=[report.job_id])
    return format_html('<a href="{}">{}</a>', address, report.job_id)


@admin.register(Report)
class ReportAdmin(KhaachoModelAdmin):
    entity_type = "report"
    list_display = (
        "id",
        "kind",
        "format",
        "state",
        _progress,
        _size,
        _file,
        "created_at",
        _asker,
    )
    list_display_links = ("id", "kind")
    list_select_related = ("requested_by",)
    list_filter = ("kind", "state")
    fieldsets = sections(
        (None, ("kind", "format", "retailer", _filters)),
        ("Making", ("state", _progress, "error", _job)),
        ("File", (_file, "file_name", "row_count", _size, "sha256", "expires_at")),
        ("Dates", ("requested_by", "created_at", "started_at", "finished_at")),
    )
    verbs = (
        Verb(
            name="cancel_report",
            label="Cancel",
            permission="monitoring.cancel_report",
            run=lambda report, fields, actor: services.cancel_report(
                report_id=report.pk, actor=actor
            ),
            effect="The report is not made; nothing of it is kept.",
            done="{record} is cancelled.",
            hindrance=_is_over,
        ),
    )
    list_verbs = (
        Verb(
            name="request_report",
            label="New report",
            permission="monitoring.request_report",
            run=_request_any,
            effect="The report is made in the background; its page shows how far it is.",
            done="{record} is being made.",
            form=ReportForm,
        ),
    )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = super().get_list_display(request)
        return [column for column in shown if _is_shown(column, request)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (title, {"fields": [field for field in options["fields"] if _is_shown(field, request)]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download_view)
        own = path("<int:report_id>/download/", view, name="monitoring_report_download")
        return [own, *super().get_urls()]

    def download_view(self, request: HttpRequest, report_id: int) -> HttpResponseBase:
        """Send the file to whoever may take files out of the site."""
        actor = tenants.actor_of(cast("User", request.user))
        try:
            return downloads.respond(request, report_id, actor)
        except NotFound as error:
            raise Http404 from error
        except Forbidden as error:
            raise PermissionDenied(error.message) from error
        except KhaachoError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(reverse("admin:monitoring_report_change", args=[report_id]))


def _is_shown(column: Any, request: HttpRequest) -> bool:
    return column is not _file or bool(request.user.has_perm(DOWNLOAD))


add_verb(
    Retailer,
    Verb(
        name="request_statement",
        label="Statement",
        permission="monitoring.request_report",
        run=_request_statement,
        effect="A statement of this shop's accounts is made in the background; it will be among its"
        " statements on this page.",
        done="A statement of {record} is being made.",
        form=StatementForm,
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Statements",
        model=Report,
        rows=lambda shop: (
            Report.objects.filter(retailer=shop).select_related("requested_by").order_by("-pk")
        ),
        columns=("created_at", "format", "state", _progress, "row_count", "requested_by"),
        more="retailer__id__exact",
        limit=10,
    ),
)
