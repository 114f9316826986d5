"""The site's own routes, and beside them the reference's."""

from django.urls import include, path

from bench.reference.views import OrderViewSet

urlpatterns = [
    path("", include("khaacho.urls")),
    path("reference/orders/", OrderViewSet.as_view({"get": "list", "post": "create"})),
]
