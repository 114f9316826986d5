"""Routes. Apps are named as strings only, so that the bottom package stays at the bottom."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path(
        "api/v1/", include("orders.api.urls")
    ),  # routes are tried in turn: what is asked most first
    path("api/v1/", include("vendors.api.urls")),
    path("api/v1/", include("credit.api.urls")),
    path("api/v1/", include("payments.api.urls")),
    path("api/v1/", include("whatsapp.api.urls")),
    path("api/v1/", include("khaacho.api.urls")),
    path("api/v1/", include("monitoring.api.urls")),
    path("admin/queues/", include("monitoring.board")),
    path("admin/", admin.site.urls),
    path("", include("monitoring.api.probes")),
]
handler400 = "khaacho.api.problems.handler400"
handler403 = "khaacho.api.problems.handler403"
handler404 = "khaacho.api.problems.handler404"
handler500 = "khaacho.api.problems.handler500"
