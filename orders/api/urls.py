from django.urls import URLPattern, URLResolver, path

from orders.api import credit, invoices, views

VERBS = {
    "accept": views.Accept,
    "reject": views.Reject,
    "pack": views.Pack,
    "dispatch": views.Dispatch,
    "out_for_delivery": views.OutForDelivery,
    "deliver": views.Deliver,
    "complete": views.Complete,
    "cancel": views.Cancel,
}

urlpatterns: list[URLPattern | URLResolver] = [
    path("orders/", views.OrderList.as_view(), name="orders"),
    path("orders/quote/", views.Quote.as_view(), name="order-quote"),
    path("orders/<int:order_id>/", views.OrderDetail.as_view(), name="order"),
    path("orders/<int:order_id>/history/", views.OrderHistory.as_view(), name="order-history"),
    path("orders/<int:order_id>/invoice/", invoices.InvoiceFile.as_view(), name="order-invoice"),
    *(
        path(f"orders/<int:order_id>/{name}/", view.as_view(), name=f"order-{name}")
        for name, view in VERBS.items()
    ),
    path("credit/", credit.CreditView.as_view(), name="credit"),
    path("vendor/receivables/", credit.Receivables.as_view(), name="receivables"),
]
