"""Fiscal years and the counters of invoice numbers."""

from django.contrib import admin
from django.http import HttpRequest

from khaacho.adminsite import (
    KhaachoModelAdmin,
    by_code,
    sections,
)
from orders.models import (
    FiscalYear,
    InvoiceCounter,
)


@admin.register(FiscalYear)
class FiscalYearAdmin(KhaachoModelAdmin):
    """Data that staff can correct."""

    list_display = ("name", "starts_on")
    fieldsets = sections(
        (None, ("name", "starts_on")),
    )
    editable = ("name", "starts_on")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("orders.add_fiscalyear"))


@admin.register(InvoiceCounter)
class InvoiceCounterAdmin(KhaachoModelAdmin):
    list_display = ("vendor", "fiscal_year", "last_number")
    list_select_related = ("vendor", "fiscal_year")
    searches = (by_code("vendor__code", "VND", "vendor"),)
    fieldsets = sections(
        (None, ("vendor", "fiscal_year", "last_number")),
    )
