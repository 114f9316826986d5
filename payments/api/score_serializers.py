"""A shop's score as the API shows it."""

from django.db.models import Case, F, Value, When
from django.db.models import CharField as TextColumn
from rest_framework import serializers

from credit.models import CreditScore
from credit.scoring import BAND_NAMES, BANDS, FLOOR, WORST_BAND
from khaacho.actors import Actor
from khaacho.api.serializers import (
    CharField,
    DateTimeField,
    IdField,
    IntegerField,
    ModelSerializer,
    MoneyField,
    QueryIdField,
    Serializer,
)
from khaacho.exceptions import Invalid


class QueryRetailerSerializer(Serializer):
    """Staff name a retailer; a retailer may name itself."""

    retailer_id = QueryIdField(required=False)

    def chosen(self, actor: Actor) -> int:
        """Return the retailer that is asked about. Raises Invalid when staff name none."""
        wanted: int | None = self.validated_data.get("retailer_id") or actor.retailer_id
        if wanted is None:
            raise Invalid(errors={"retailer_id": ["Say which retailer."]})
        return wanted


class ComponentSerializer(Serializer):
    """One factor of a score: points earned of those possible, and why in words."""

    code = CharField()
    name = CharField()
    earned = IntegerField()
    possible = IntegerField()
    sentence = CharField()


def _band() -> Case:
    """Return the band of a scoring in SQL."""
    return Case(
        *(When(score__gte=floor, then=Value(name)) for floor, name in BANDS),
        default=Value(WORST_BAND),
        output_field=TextColumn(),
    )


class ScoreRowSerializer(ModelSerializer[CreditScore]):
    """One scoring of the past. 300 + the points earned is the score, or more than its `cap`."""

    band = serializers.ChoiceField(choices=BAND_NAMES)
    provisional = serializers.BooleanField(source="is_provisional")
    cap_reason = CharField(source="reason")
    components = ComponentSerializer(many=True)
    computed_at = DateTimeField(source="created_at")

    sql_fields = {"band": _band, "components": lambda: F("components")}

    class Meta:
        model = CreditScore
        fields = [
            "id",
            "retailer_id",
            "score",
            "band",
            "version",
            "provisional",
            "cap",
            "cap_reason",
            "components",
            "computed_at",
        ]


class AdviceSerializer(Serializer):
    """What paying one open invoice today would do to the score, today and in 30 days."""

    order_number = CharField(source="invoice.number")
    due_date = serializers.DateField(source="invoice.due")
    due_amount = MoneyField(source="invoice.left", max_digits=16)
    days_late = IntegerField()
    score_if_paid = IntegerField(source="if_paid")
    score_in_30_days_if_paid = IntegerField(source="later_if_paid")
    score_in_30_days_if_unpaid = IntegerField(source="later_if_unpaid")
    sentence = CharField()


class ScoreSerializer(Serializer):
    """`base` + the points earned + `cap_points` = `score`; `computed_at` is null before any scoring."""

    retailer_id = IdField(source="retailer.pk")
    score = IntegerField(source="made.score")
    band = serializers.ChoiceField(source="made.band", choices=BAND_NAMES)
    version = CharField(source="made.version")
    provisional = serializers.BooleanField(source="made.is_provisional")
    base = IntegerField(default=FLOOR)
    components = ComponentSerializer(source="made.components", many=True)
    cap = IntegerField(source="made.cap", allow_null=True)
    cap_reason = CharField(source="made.reason")
    cap_points = IntegerField(source="made.cap_points")
    explanation = serializers.ListField(source="made.explanation", child=CharField())
    advice = AdviceSerializer(many=True)
    computed_at = DateTimeField(source="kept.created_at", allow_null=True, default=None)
