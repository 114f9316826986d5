"""The catalogue for everybody, and a vendor's own offers for that vendor."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.cached_pages import HOUR, MINUTE, cached_page
from khaacho.api.idempotency import idempotent
from khaacho.api.json_list import JSONListView
from khaacho.api.permissions import IsVendor
from khaacho.api.verbs import Verb, validated
from khaacho.exceptions import NotFound
from vendors import selectors, services, shown
from vendors.api import price_lists
from vendors.api.filters import OfferFilter, OwnOfferFilter, ProductFilter, VendorFilter
from vendors.api.serializers import (
    OfferChangeSerializer,
    OfferCreateSerializer,
    OfferSerializer,
    OwnOfferSerializer,
    PriceListResultSerializer,
    PriceListSerializer,
    ProductSerializer,
    VendorSerializer,
)
from vendors.models import OfferQuerySet, Product, Vendor, VendorProduct


@cached_page(shown.CATALOGUE, seconds=HOUR)
class ProductList(JSONListView[Product]):
    """The catalogue: each product with the best offer that fits the filters."""

    queryset = Product.objects.none()
    serializer_class = ProductSerializer
    filterset_class = ProductFilter
    sort_fields = {"name": "name", "created_at": "created_at", "category": "category"}

    def rows(self, actor: Actor, **route: Any) -> QuerySet[Product]:
        return selectors.catalogue()


@cached_page(shown.STANDING, "product:{product_id}", seconds=HOUR)
class ProductDetail(RetrieveAPIView[Product]):
    queryset = Product.objects.none()
    serializer_class = ProductSerializer
    lookup_url_kwarg = "product_id"
    filter_backends = []

    def get_queryset(self) -> QuerySet[Product]:
        return selectors.catalogue()


@cached_page(shown.STANDING, "product:{product_id}", seconds=HOUR)
class ProductOffers(JSONListView[VendorProduct]):
    """Who sells a product, the cheapest first."""

    queryset = VendorProduct.objects.none()
    serializer_class = OfferSerializer
    sort_fields = {"price": "vendor_price", "vendor_rating": "vendor__rating"}
    default_sort = "price"

    def rows(self, actor: Actor, **route: Any) -> OfferQuerySet:
        return selectors.offers_of_product(route["product_id"])

    def check_exists(self, **route: Any) -> None:
        if not selectors.active_products([route["product_id"]]):
            raise NotFound


@cached_page(shown.VENDORS, seconds=30 * MINUTE)
class VendorList(JSONListView[Vendor]):
    """Approved vendors, the best rated first."""

    queryset = Vendor.objects.none()
    serializer_class = VendorSerializer
    filterset_class = VendorFilter
    sort_fields = {
        "rating": "rating",
        "business_name": "business_name",
        "created_at": "created_at",
    }
    default_sort = "-rating"

    def rows(self, actor: Actor, **route: Any) -> QuerySet[Vendor]:
        return Vendor.objects.approved()


@cached_page(shown.VENDORS, seconds=30 * MINUTE)
class VendorDetail(RetrieveAPIView[Vendor]):
    queryset = Vendor.objects.none()
    serializer_class = VendorSerializer
    lookup_url_kwarg = "vendor_id"
    filter_backends = []

    def get_queryset(self) -> QuerySet[Vendor]:
        return Vendor.objects.approved()


@cached_page(shown.STANDING, "vendor:{vendor_id}", seconds=HOUR)
class VendorCatalogue(JSONListView[VendorProduct]):
    """What one approved vendor has on sale."""

    queryset = VendorProduct.objects.none()
    serializer_class = OfferSerializer
    filterset_class = OfferFilter
    sort_fields = {"product_name": "product__name", "price": "vendor_price"}
    default_sort = "product_name"

    def rows(self, actor: Actor, **route: Any) -> OfferQuerySet:
        return selectors.offers_of_vendor(route["vendor_id"])

    def check_exists(self, **route: Any) -> None:
        if not Vendor.objects.approved().filter(pk=route["vendor_id"]).exists():
            raise NotFound


class OwnOffers(JSONListView[VendorProduct]):
    """The vendor's own offers."""

    permission_classes = [IsVendor]
    queryset = VendorProduct.objects.none()
    serializer_class = OwnOfferSerializer
    filterset_class = OwnOfferFilter
    sort_fields = {
        "created_at": "created_at",
        "product_name": "product__name",
        "price": "vendor_price",
        "stock": "stock",
    }
    default_sort = "-created_at"

    def rows(self, actor: Actor, **route: Any) -> OfferQuerySet:
        return selectors.own_offers(actor.vendor_id)

    @extend_schema(request=OfferCreateSerializer, responses={201: OwnOfferSerializer})
    @idempotent()
    def post(self, request: Request) -> Response:
        """Offer a product; one that was withdrawn comes back."""
        actor = caller(request)
        body = validated(OfferCreateSerializer, request)
        offer = services.create_offer(vendor_id=actor.vendor_id or 0, actor=actor, **body)
        return Response(_shown(offer, actor), status=201)


class OwnOffer(APIView):
    permission_classes = [IsVendor]

    @extend_schema(request=OfferChangeSerializer, responses={200: OwnOfferSerializer})
    def patch(self, request: Request, offer_id: int) -> Response:
        """Change price, stock or availability."""
        actor = caller(request)
        body = validated(OfferChangeSerializer, request)
        offer = services.change_offer(offer_id=offer_id, actor=actor, **body)
        return Response(_shown(offer, actor))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, offer_id: int) -> Response:
        """Withdraw an offer; orders that hold its stock go on."""
        services.withdraw_offer(offer_id=offer_id, actor=caller(request))
        return Response(status=204)


class PriceList(Verb):
    """Create and change up to 500 offers by product; what one row refuses, the others do not."""

    permission_classes = [IsVendor]
    input_serializer = PriceListSerializer
    output_serializer = PriceListResultSerializer

    def run(self, actor: Actor, data: dict[str, Any], **route: Any) -> price_lists.Result:
        return price_lists.load(data["items"], actor)


def _shown(offer: VendorProduct, actor: Actor) -> dict[str, Any]:
    return OwnOfferSerializer(selectors.own_offers(actor.vendor_id).get(pk=offer.pk)).data
