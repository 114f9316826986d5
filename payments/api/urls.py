from django.urls import URLPattern, URLResolver, path

from payments.api import scores, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("credit/score/", scores.ScoreView.as_view(), name="credit-score"),
    path("credit/score/history/", scores.ScoreHistory.as_view(), name="credit-score-history"),
    path("payments/", views.PaymentList.as_view(), name="payments"),
    path("payments/<int:payment_id>/", views.PaymentDetail.as_view(), name="payment"),
    path("payments/<int:payment_id>/reverse/", views.Reverse.as_view(), name="payment-reverse"),
]
