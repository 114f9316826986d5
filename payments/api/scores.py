"""A shop's score, explained: with what paying a due today would do, which only payments can know."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credit import selectors as credit
from credit.models import CreditScore
from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.filters import IdFilter, InstantFilter
from khaacho.api.json_list import JSONListView
from khaacho.api.permissions import IsRetailerOrStaff
from payments import scores
from payments.api.score_serializers import (
    QueryRetailerSerializer,
    ScoreRowSerializer,
    ScoreSerializer,
)


class ScoreView(APIView):
    """The latest scoring of the caller's shop; staff name one by `retailer_id`."""

    permission_classes = [IsRetailerOrStaff]
    problems = (404,)

    @extend_schema(
        operation_id="credit_score",
        parameters=[QueryRetailerSerializer],
        responses={200: ScoreSerializer},
    )
    def get(self, request: Request) -> Response:
        """Score, band, points by factor, the explanation in words, and what paying would do."""
        actor = caller(request)
        query = QueryRetailerSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        retailer_id = query.chosen(actor)
        scoring = credit.scoring(actor, retailer_id)
        shown: dict[str, Any] = {**vars(scoring), "advice": scores.known(retailer_id).advice}
        return Response(ScoreSerializer(shown).data)


class ScoreFilter(FilterSet):  # type: ignore[misc]
    retailer_id = IdFilter()
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = CreditScore
        fields: ClassVar[list[str]] = []


class ScoreHistory(JSONListView[CreditScore]):
    """Scorings of the caller's shop, the newest first; staff see everybody's."""

    permission_classes = [IsRetailerOrStaff]
    queryset = CreditScore.objects.none()
    serializer_class = ScoreRowSerializer
    filterset_class = ScoreFilter
    sort_fields = {"computed_at": "created_at"}
    default_sort = "-computed_at"

    def rows(self, actor: Actor, **route: Any) -> QuerySet[CreditScore]:
        return credit.scores(actor)
