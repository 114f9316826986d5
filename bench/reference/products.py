"""The catalogue as a ModelViewSet: each product with its offers, fetched with the page."""

from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.viewsets import ModelViewSet

from bench.reference.views import Pages, UserAuthentication
from vendors.models import Product, VendorProduct


class OfferRow(serializers.ModelSerializer[VendorProduct]):
    class Meta:
        model = VendorProduct
        fields = ("id", "vendor", "vendor_price", "stock")


class ProductRow(serializers.ModelSerializer[Product]):
    offers = OfferRow(many=True)

    class Meta:
        model = Product
        fields = ("id", "sku", "name", "name_ne", "brand", "category", "unit", "tax_rate", "offers")


class ProductViewSet(ModelViewSet[Product]):
    serializer_class = ProductRow
    pagination_class = Pages
    authentication_classes = [UserAuthentication]
    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]
    filter_backends = ()
    queryset = (
        Product.objects.filter(is_active=True, deleted_at=None)
        .prefetch_related("offers")
        .order_by("-id")
    )
