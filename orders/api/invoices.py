"""The invoice of an order, as a PDF to look at or to print."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from khaacho.api.authentication import caller
from khaacho.api.negotiation import OnlyForm
from orders import invoice
from orders.models import Order


class PDFRenderer(BaseRenderer):
    """Names application/pdf to the schema; `orders.invoice` draws."""

    media_type = invoice.CONTENT_TYPE
    format = "pdf"
    charset = None
    render_style = "binary"


class InvoiceFile(APIView):
    """The invoice of a delivered order, for its retailer, its vendor and staff."""

    renderer_classes = [PDFRenderer]
    content_negotiation_class = OnlyForm
    problems = (409,)

    @extend_schema(
        operation_id="order_invoice",
        responses={(200, invoice.CONTENT_TYPE): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, order_id: int) -> HttpResponse:
        """An A4 PDF. What is paid and due is as of now; before delivery there is none (409)."""
        return invoice.respond(Order.objects.for_user(caller(request)), order_id)
