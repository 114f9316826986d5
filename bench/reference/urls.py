"""The site's own routes, and beside them the reference's."""

from django.urls import path

from bench.reference.desk import site
from bench.reference.products import ProductViewSet
from bench.reference.views import OrderViewSet
from khaacho import urls

urlpatterns = [
    *urls.urlpatterns,
    path("reference/admin/", site.urls),
    path("reference/orders/", OrderViewSet.as_view({"get": "list", "post": "create"})),
    path("reference/products/", ProductViewSet.as_view({"get": "list"})),
]
handler400 = "khaacho.api.problems.handler400"
handler403 = "khaacho.api.problems.handler403"
handler404 = "khaacho.api.problems.handler404"
handler500 = "khaacho.api.problems.handler500"
