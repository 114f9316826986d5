"""An API for tests of the common parts: lists of alerts, bodies echoed, and errors on demand."""

from decimal import Decimal
from typing import Any

import django_filters
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework import exceptions, generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho import sql
from khaacho.alerts import raise_alert
from khaacho.api import permissions
from khaacho.api.idempotency import idempotent
from khaacho.api.serializers import (
    CharField,
    DateTimeField,
    IdField,
    IntegerField,
    ModelSerializer,
    MoneyField,
    Serializer,
)
from khaacho.api.verbs import Verb, validated
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound, Refused
from khaacho.models import Alert

after_rollback: list[str] = []


class AlertSerializer(ModelSerializer[Alert]):
    class Meta:
        model = Alert
        fields = ["id", "code", "message", "occurrences", "created_at"]


class AlertFilter(django_filters.FilterSet):
    code = django_filters.CharFilter()
    occurrences = django_filters.NumberFilter()

    class Meta:
        model = Alert
        fields = ["code", "occurrences"]


class Alerts(generics.ListAPIView):
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    queryset = Alert.objects.all()
    sort_fields = {"created_at": "created_at", "occurrences": "occurrences", "code": "code"}
    default_sort = "-created_at"


class MoreAlerts(Alerts):
    pass


class Unsorted(generics.ListAPIView):
    serializer_class = AlertSerializer
    queryset = Alert.objects.all()


class LineSerializer(Serializer):
    quantity = IntegerField(min_value=1, max_value=1000)


class EchoSerializer(Serializer):
    text = CharField(max_length=20)
    amount = MoneyField(required=False)
    number = IntegerField(required=False)
    record_id = IdField(required=False)
    at = DateTimeField(required=False)
    lines = LineSerializer(many=True, required=False)


class Echo(APIView):
    permission_classes = []

    def post(self, request: Request) -> Response:
        return Response(EchoSerializer(validated(EchoSerializer, request)).data)


class Raw(APIView):
    permission_classes = []

    def post(self, request: Request) -> Response:
        return Response({"seen": repr(request.data)})


class Listing(Raw):
    accepts_list = True


def refusal() -> Refused:
    error = Refused("Too dear.", available=Decimal("10.00"), lines=[{"product_id": 1}])
    error.after_rollback = lambda: after_rollback.append("kept")
    return error


def statement(text: str) -> Any:
    def run() -> None:
        sql.execute(text)

    return run


ERRORS: dict[str, Any] = {
    "refused": refusal,
    "conflict": Conflict,
    "forbidden": Forbidden,
    "gone": NotFound,
    "invalid": lambda: Invalid(errors={"phone": ["Taken."]}),
    "throttled": lambda: exceptions.Throttled(wait=12.2),
    "http404": Http404,
    "django-403": PermissionDenied,
    "suspicious": SuspiciousOperation,
    "too-big": RequestDataTooBig,
    "operational": lambda: OperationalError("connection refused to host secret.example"),
    "bug": lambda: ZeroDivisionError("secret"),
}
STATEMENTS = {
    "timeout": "SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)",
    "deadlock": "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",
    "lock": "DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$",
    "trigger": "DO $$ BEGIN RAISE SQLSTATE '23000'; END $$",
    "too-many-clients": "DO $$ BEGIN RAISE SQLSTATE '53300'; END $$",
    "out-of-range": "SELECT 9223372036854775807 + 1",
    "syntax": "SELEC",
}


class Fail(APIView):
    permission_classes = []

    def get(self, request: Request, kind: str) -> Response:
        if kind in STATEMENTS:
            sql.execute(STATEMENTS[kind])
        raise ERRORS[kind]()


def plain(request: HttpRequest, kind: str) -> HttpResponse:
    raise ERRORS[kind]()


def html(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<h1>no</h1>", status=405, headers={"Allow": "POST"})


class Once(APIView):
    """An effect that a test can count: one alert more."""

    required = False

    @idempotent()
    def post(self, request: Request) -> Response:
        return effect(request)


class OnceRequired(Once):
    @idempotent(required=True)
    def post(self, request: Request) -> Response:
        return effect(request)


def effect(request: Request) -> Response:
    raise_alert("effect", str(request.data.get("text")))
    if request.data.get("sleep"):
        sql.fetch("SELECT pg_sleep(%s)", [request.data["sleep"]])
    if request.data.get("refuse"):
        raise refusal()
    if request.data.get("status"):
        return Response({"bad": True}, status=request.data["status"])
    count = Alert.objects.filter(code="effect").values_list("occurrences", flat=True).get()
    backend = sql.fetch("SELECT pg_backend_pid()") and connection.in_atomic_block
    return Response(
        {"count": count, "name": "नाम", "atomic": backend},
        status=201,
        headers={"Location": "/api/v1/try/once/1/"},
    )


class Rename(Verb):
    input_serializer = LineSerializer
    output_serializer = LineSerializer

    def run(self, actor: Any, data: Any, **route: Any) -> Any:
        if data["quantity"] == 13:
            raise refusal()
        return {"quantity": data["quantity"] * route["factor"]}


class Nothing(Verb):
    key_required = True

    def run(self, actor: Any, data: Any, **route: Any) -> None:
        assert actor.user_id


class Door(APIView):
    permission_classes = [permissions.IsStaff]

    def get(self, request: Request) -> Response:
        return Response({})


class RetailersDoor(Door):
    permission_classes = [permissions.IsRetailer]


class VendorsDoor(Door):
    permission_classes = [permissions.IsVendorOrStaff]


urlpatterns = [
    path("", include("khaacho.urls")),
    path("api/v1/try/alerts/", Alerts.as_view()),
    path("api/v1/try/more/", MoreAlerts.as_view()),
    path("api/v1/try/unsorted/", Unsorted.as_view()),
    path("api/v1/try/echo/", Echo.as_view()),
    path("api/v1/try/raw/", Raw.as_view()),
    path("api/v1/try/listing/", Listing.as_view()),
    path("api/v1/try/fail/<str:kind>/", Fail.as_view()),
    path("api/v1/try/plain/<str:kind>/", plain),
    path("api/v1/try/html/", html),
    path("api/v1/try/once/", Once.as_view()),
    path("api/v1/try/once-required/", OnceRequired.as_view()),
    path("api/v1/try/rename/<int:factor>/", Rename.as_view()),
    path("api/v1/try/nothing/", Nothing.as_view()),
    path("api/v1/try/staff/", Door.as_view()),
    path("api/v1/try/retailers/", RetailersDoor.as_view()),
    path("api/v1/try/vendors/", VendorsDoor.as_view()),
]
handler400 = "khaacho.api.problems.handler400"
handler403 = "khaacho.api.problems.handler403"
handler404 = "khaacho.api.problems.handler404"
handler500 = "khaacho.api.problems.handler500"
