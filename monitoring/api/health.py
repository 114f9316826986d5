"""Health over HTTP: probes for machines, a short state for everybody, details for staff."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.api.permissions import IsStaff
from khaacho.api.serializers import CharField, Serializer
from khaacho.api.views import PublicView
from monitoring import health

NO_STORE = {"Cache-Control": "no-store"}


class HealthSerializer(Serializer):
    status = CharField(help_text="ok, degraded, unavailable")
    version = CharField()
    uptime_seconds = serializers.IntegerField()
    database = CharField(help_text="ok, down")
    redis = CharField(help_text="ok, down")


class CheckSerializer(Serializer):
    name = CharField()
    value = serializers.FloatField(allow_null=True)
    unit = CharField()
    threshold = serializers.FloatField()
    status = CharField(help_text="ok, warning, failed")


class HealthDetailsSerializer(Serializer):
    status = CharField(help_text="ok, warning, failed")
    version = CharField()
    checks = CheckSerializer(many=True)


class HealthView(PublicView):
    @extend_schema(
        operation_id="health",
        responses={
            200: HealthSerializer,
            503: OpenApiResponse(HealthSerializer, description="The database does not answer."),
        },
    )
    def get(self, request: Request) -> Response:
        """Say in short whether the service is well; degraded without Redis."""
        found = health.summary()
        status = 503 if found["status"] == "unavailable" else 200
        return Response(found, status=status, headers=NO_STORE)


class HealthDetailsView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(operation_id="health_details", responses={200: HealthDetailsSerializer})
    def get(self, request: Request) -> Response:
        """Show every check with its value, unit and threshold."""
        return Response(health.details(), headers=NO_STORE)


@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """Answer that this process runs; touches nothing."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process may be sent requests, else 503 and why."""
    found = health.readiness()
    return JsonResponse(found, status=200 if found["status"] == "ready" else 503)
