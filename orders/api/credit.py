"""Credit as orders know it: what is past due, and how long."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credit.models import CreditAccount
from khaacho.api.authentication import caller
from khaacho.api.cached_pages import MINUTE, cached_page, tenant
from khaacho.api.lists import ListView
from khaacho.api.permissions import IsRetailer, IsVendor
from orders import selectors
from orders.api.filters import ReceivableFilter
from orders.api.serializers import CreditSummarySerializer, ReceivableSerializer


@cached_page("credit:{retailer_id}", seconds=5 * MINUTE, scope=tenant)
class CreditView(APIView):
    permission_classes = [IsRetailer]

    @extend_schema(operation_id="credit_summary", responses={200: CreditSummarySerializer})
    def get(self, request: Request) -> Response:
        """Score, limit, what is owed, and the accounts with each vendor."""
        summary = selectors.credit_summary(caller(request))
        return Response(CreditSummarySerializer(summary).data)


class Receivables(ListView[CreditAccount]):
    """What each shop owes the vendor, by age; the largest balance first."""

    permission_classes = [IsVendor]
    queryset = CreditAccount.objects.none()
    serializer_class = ReceivableSerializer
    filterset_class = ReceivableFilter
    sort_fields = {"balance": "balance", "retailer_name": "retailer__shop_name"}
    default_sort = "-balance"

    def get_queryset(self) -> QuerySet[CreditAccount]:
        return selectors.receivables(caller(self.request))

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Age what the page's shops owe, in one statement."""
        page: Iterable[CreditAccount] = args[0] if args and kwargs.get("many") else ()
        kwargs["context"] = {
            **self.get_serializer_context(),
            "ageing": selectors.ageing(
                vendor_id=getattr(self.request.user, "vendor_id", None) or 0,
                retailer_ids=[account.retailer_id for account in page],
            )
            if page
            else {},
        }
        return ReceivableSerializer(*args, **kwargs)
