"""Each role's own figures of today and of 30 days."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.api.authentication import caller
from khaacho.api.cached_pages import MINUTE, cached_page, tenant
from khaacho.api.serializers import CharField, IntegerField, MoneyField, Serializer
from monitoring import selectors

SUM_DIGITS = 20


class PeriodSerializer(Serializer):
    """Orders placed and not cancelled, their value with VAT, and money received."""

    orders = IntegerField()
    value = MoneyField(max_digits=SUM_DIGITS)
    collection = MoneyField(max_digits=SUM_DIGITS)


class TopProductSerializer(Serializer):
    product_id = IntegerField()
    product_name = CharField()
    quantity = IntegerField()
    value = MoneyField(max_digits=SUM_DIGITS)


class DashboardSerializer(Serializer):
    today = PeriodSerializer()
    last_30_days = PeriodSerializer()
    open_orders = IntegerField()
    outstanding = MoneyField(max_digits=SUM_DIGITS)
    overdue = MoneyField(max_digits=SUM_DIGITS)
    top_products = TopProductSerializer(many=True)


@cached_page(seconds=MINUTE, scope=tenant)
class DashboardView(APIView):
    @extend_schema(operation_id="dashboard", responses={200: DashboardSerializer})
    def get(self, request: Request) -> Response:
        """Show the caller's own trade; to staff, everybody's."""
        figures = selectors.dashboard(caller(request))
        return Response(DashboardSerializer(figures).data)
