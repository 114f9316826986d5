from django.urls import URLPattern, URLResolver, path

from credit.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("auth/register/", views.Register.as_view(), name="auth-register"),
    path("credit/ledger/", views.Ledger.as_view(), name="credit-ledger"),
    path("credit/statement/", views.StatementView.as_view(), name="credit-statement"),
]
