"""Reports over HTTP: asked for, looked at, cancelled, downloaded by employees."""

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from django_filters import filters
from django_filters.rest_framework import FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import RetrieveAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.idempotency import idempotent
from khaacho.api.lists import ListView
from khaacho.api.negotiation import OnlyForm
from khaacho.api.permissions import IsStaff
from khaacho.api.serializers import IdField, ModelSerializer, Serializer
from khaacho.api.verbs import Body, Verb, validated
from khaacho.exceptions import Invalid
from monitoring import selectors, services
from monitoring.enums import ReportFormat, ReportKind, ReportState
from monitoring.models import Report
from monitoring.reports import downloads


class ReportRequestSerializer(Serializer):
    """`filters` depend on the kind: docs/reports.md."""

    kind = serializers.ChoiceField(ReportKind.choices)
    format = serializers.ChoiceField(ReportFormat.choices)
    filters = serializers.DictField(required=False)


class ReportSerializer(ModelSerializer[Report]):
    """`progress` is per cent, `size` bytes; `download_url` is null while there is no file to fetch."""

    requested_by_id = IdField(allow_null=True, read_only=True)
    filters = serializers.DictField(read_only=True)
    download_url = serializers.SerializerMethodField()

    class Meta:
        model = Report
        fields = [
            "id",
            "kind",
            "format",
            "filters",
            "state",
            "progress",
            "row_count",
            "size",
            "file_name",
            "sha256",
            "requested_by_id",
            "created_at",
            "started_at",
            "finished_at",
            "expires_at",
            "download_url",
            "error",
        ]

    def get_download_url(self, report: Report) -> str | None:
        if report.state != ReportState.DONE:
            return None
        return reverse("report-download", args=[report.pk])


class ReportFilter(FilterSet):  # type: ignore[misc]
    kind = filters.MultipleChoiceFilter(choices=ReportKind.choices, distinct=False)
    state = filters.MultipleChoiceFilter(choices=ReportState.choices, distinct=False)

    class Meta:
        model = Report
        fields: list[str] = []


class ReportList(ListView[Report]):
    """The newest first: all with the permission to view reports, else one's own."""

    permission_classes = [IsStaff]
    queryset = Report.objects.none()
    serializer_class = ReportSerializer
    filterset_class = ReportFilter
    sort_fields = {"created_at": "created_at"}
    default_sort = "-created_at"

    def get_queryset(self) -> QuerySet[Report]:
        return selectors.reports(caller(self.request))

    @extend_schema(request=ReportRequestSerializer, responses={201: ReportSerializer})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Have a report made. While it is open, asking for the same again gives the same report."""
        body: Body = validated(ReportRequestSerializer, request)
        report = _requested(body, caller(request))
        location = reverse("report", args=[report.pk])
        shown = ReportSerializer(report, context={"request": request})
        return Response(shown.data, status=201, headers={"Location": location})


def _requested(body: Body, actor: Actor) -> Report:
    try:
        return services.request_report(
            kind=ReportKind(body["kind"]),
            form=ReportFormat(body["format"]),
            given=body.get("filters", {}),
            actor=actor,
        )
    except Invalid as error:
        errors = {f"filters.{name}": texts for name, texts in error.errors.items()}
        raise Invalid(error.message, errors=errors) from error


class ReportDetail(RetrieveAPIView[Report]):
    permission_classes = [IsStaff]
    queryset = Report.objects.none()
    serializer_class = ReportSerializer
    lookup_url_kwarg = "report_id"
    filter_backends = []

    def get_queryset(self) -> QuerySet[Report]:
        return selectors.reports(caller(self.request))


class CancelReport(Verb):
    """Stop a report that is waiting or being made."""

    permission_classes = [IsStaff]
    output_serializer = ReportSerializer

    def run(self, actor: Actor, data: Any, **route: Any) -> Report:
        return services.cancel_report(actor=actor, **route)


class FileRenderer(BaseRenderer):
    """Names the forms of files to the schema; PostgreSQL keeps them, `downloads` sends them."""

    media_type = "application/octet-stream"
    format = "file"
    charset = None
    render_style = "binary"


class ReportDownload(APIView):
    permission_classes = [IsStaff]
    renderer_classes = [FileRenderer]
    content_negotiation_class = OnlyForm
    problems = (409, 410)

    @extend_schema(
        operation_id="report_download",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None,
        },
    )
    def get(self, request: Request, report_id: int) -> HttpResponseBase:
        """Send the file. 409 while there is none, 410 when it is no longer kept."""
        return downloads.respond(request._request, report_id, caller(request))
