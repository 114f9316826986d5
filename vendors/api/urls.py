from django.urls import URLPattern, URLResolver, path

from vendors.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("products/", views.ProductList.as_view(), name="products"),
    path("products/<int:product_id>/", views.ProductDetail.as_view(), name="product"),
    path("products/<int:product_id>/offers/", views.ProductOffers.as_view(), name="product-offers"),
    path("vendors/", views.VendorList.as_view(), name="vendors"),
    path("vendors/<int:vendor_id>/", views.VendorDetail.as_view(), name="vendor"),
    path(
        "vendors/<int:vendor_id>/products/",
        views.VendorCatalogue.as_view(),
        name="vendor-catalogue",
    ),
    path("vendor/products/", views.OwnOffers.as_view(), name="own-offers"),
    path("vendor/products/<int:offer_id>/", views.OwnOffer.as_view(), name="own-offer"),
    path("vendor/products/bulk/", views.PriceList.as_view(), name="price-list"),
]
