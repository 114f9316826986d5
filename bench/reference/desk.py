"""Django's own admin on the orders, as most projects ship it."""

from django.contrib import admin

from orders.models import Order

site = admin.AdminSite("reference")


class StockOrders(admin.ModelAdmin):  # type: ignore[type-arg] # generic in the stubs alone
    list_display = (
        "order_number",
        "retailer",
        "vendor",
        "status",
        "payment_status",
        "total",
        "due_amount",
        "created_at",
    )
    list_per_page = 50
    list_filter = ("status", "payment_status")
    ordering = ("-created_at",)


site.register(Order, StockOrders)
