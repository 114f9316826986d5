"""Routes. Apps are named as strings only, so that the bottom package stays at the bottom."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

from khaacho.api.routes import remembering

admin.autodiscover()
urlpatterns: list[URLPattern | URLResolver] = [
    remembering(
        "api/v1/",
        "orders.api.urls",
        "vendors.api.urls",
        "credit.api.urls",
        "payments.api.urls",
        "whatsapp.api.urls",
        "khaacho.api.urls",
        "monitoring.api.urls",
    ),
    path("admin/language/", set_language, name="set_language"),
    path("admin/queues/", include("monitoring.board")),
    path("admin/database/plan/", include("monitoring.advice.pages")),
    path("admin/database/", include("monitoring.pages.urls")),
    path("admin/", admin.site.urls),
    path("", include("monitoring.api.probes")),
]
handler400 = "khaacho.api.problems.handler400"
handler403 = "khaacho.api.problems.handler403"
handler404 = "khaacho.api.problems.handler404"
handler500 = "khaacho.api.problems.handler500"
