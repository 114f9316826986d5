"""Registration of shops, and the ledger for those whose it is."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credit import selectors, services
from credit.api import statements
from credit.api.filters import LedgerFilter
from credit.api.serializers import (
    EntrySerializer,
    RegisteredSerializer,
    RegistrationSerializer,
    StatementSerializer,
)
from credit.api.statements import StatementQuerySerializer
from credit.models import CreditLedger
from khaacho import tokens
from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.json_list import JSONListView
from khaacho.api.verbs import validated
from khaacho.api.views import PublicView
from khaacho.exceptions import Invalid


class Register(PublicView):
    problems = (409,)

    @extend_schema(
        request=RegistrationSerializer,
        responses={201: RegisteredSerializer},
        operation_id="auth_register",
    )
    def post(self, request: Request) -> Response:
        """Register a shop; it can sign in, and orders once staff have approved it."""
        retailer = services.register_retailer(**validated(RegistrationSerializer, request))
        given = tokens.issue(retailer.user)
        answer = RegisteredSerializer({**vars(given), "retailer": retailer})
        return Response(answer.data, status=201, headers={"Cache-Control": "no-store"})


class Ledger(JSONListView[CreditLedger]):
    """Entries of the caller's accounts: a vendor sees its own customers', staff everybody's."""

    queryset = CreditLedger.objects.none()
    serializer_class = EntrySerializer
    filterset_class = LedgerFilter
    sort_fields = {"created_at": "created_at", "amount": "amount"}
    default_sort = "-created_at"
    tenant_sorts = frozenset({"amount"})

    def rows(self, actor: Actor, **route: Any) -> QuerySet[CreditLedger]:
        return selectors.entries(actor)


class StatementView(APIView):
    """Opening balance, entries and closing balance of a period, at most 366 days.

    Up to 10,000 entries, 500 on paper; longer ones are a report of staff's.
    """

    renderer_classes = statements.RENDERERS
    content_negotiation_class = statements.ByFormat
    problems = (404, 406, 422)

    @extend_schema(
        operation_id="credit_statement",
        parameters=[
            StatementQuerySerializer,
            OpenApiParameter(
                "format", str, enum=["json", "csv", "pdf"], description="default: json"
            ),
        ],
        responses={
            (200, "application/json"): StatementSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        actor = caller(request)
        query = StatementQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = {"vendor_id": actor.vendor_id, **query.validated_data}
        asked["retailer_id"] = _retailer_id(actor, asked.get("retailer_id"))
        form = request.accepted_renderer.format
        statement = selectors.statement(actor, **asked, most=statements.MOST_ENTRIES[form])
        if form == "csv":
            return statements.as_csv(statement)
        if form == "pdf":
            return statements.as_pdf(statement)
        return Response(StatementSerializer(statement).data)


def _retailer_id(actor: Actor, given: int | None) -> int:
    wanted = given or actor.retailer_id
    if wanted is None:
        raise Invalid(errors={"retailer_id": ["Say which retailer's statement."]})
    return wanted
