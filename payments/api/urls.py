from django.urls import URLPattern, URLResolver, path

from payments.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("payments/", views.PaymentList.as_view(), name="payments"),
    path("payments/<int:payment_id>/", views.PaymentDetail.as_view(), name="payment"),
    path("payments/<int:payment_id>/reverse/", views.Reverse.as_view(), name="payment-reverse"),
]
