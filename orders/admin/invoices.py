"""The invoice of a delivered order, from the order's page."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from khaacho.adminsite import KhaachoModelAdmin, computed
from khaacho.adminsite.columns import EMPTY
from khaacho.exceptions import NotFound
from orders import invoice
from orders.models import Order


@computed("invoice")
def invoice_link(order: Order) -> str:
    if not order.invoice_number:
        return EMPTY
    address = reverse("admin:orders_order_invoice", args=[order.pk])
    return format_html('<a href="{}">Invoice (PDF)</a>', address)


class InvoicedAdmin(KhaachoModelAdmin):
    """Orders' admin with their invoices, for whoever may view orders."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.invoice_view)
        own = path("<int:order_id>/invoice/", view, name="orders_order_invoice")
        return [own, *super().get_urls()]

    def invoice_view(self, request: HttpRequest, order_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            return invoice.respond(Order.objects.all(), order_id)
        except NotFound as error:
            raise Http404 from error
        except invoice.NotInvoiced as error:
            messages.error(request, error.message)
            return redirect("admin:orders_order_change", order_id)
