"""Who sells what, at what price, and how much is left."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from khaacho.models import Sequence, User


class VendorQuerySet(models.QuerySet["Vendor"]):
    def approved(self) -> "VendorQuerySet":
        """Vendors that may be offered orders."""
        return self.filter(is_approved=True, is_blocked=False, deleted_at=None)


class Vendor(models.Model):
    """A wholesaler. `rating` 0-5 and the statistics are derived from its orders by a job."""

    user = models.OneToOneField(User, models.PROTECT, related_name="vendor")
    code = models.CharField(
        max_length=12,
        unique=True,
        db_default=Sequence("vendor_code_seq", "VND", width=6),
        editable=False,
    )
    business_name = models.CharField(max_length=160)
    business_name_ne = models.CharField(max_length=160, blank=True)
    pan_number = models.CharField("PAN/VAT number", max_length=9, blank=True)
    address = models.CharField(max_length=200, blank=True)
    municipality = models.CharField(max_length=80)
    district = models.CharField(max_length=40)
    province = models.CharField(max_length=40)
    is_approved = models.BooleanField(db_default=False, default=False)
    approved_at = models.DateTimeField(null=True, blank=True)
    is_blocked = models.BooleanField(db_default=False, default=False)
    blocked_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    rating = models.DecimalField(max_digits=3, decimal_places=2, db_default=0, default=0)
    orders_offered = models.IntegerField(db_default=0, default=0)
    orders_accepted = models.IntegerField(db_default=0, default=0)
    orders_delivered = models.IntegerField(db_default=0, default=0)
    orders_cancelled = models.IntegerField(db_default=0, default=0)
    fulfilment_hours = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    statistics_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = VendorQuerySet.as_manager()

    class Meta:
        db_table = "vendors"
        constraints = [
            models.CheckConstraint(condition=Q(rating__range=(0, 5)), name="vendor_rating_range"),
            models.CheckConstraint(
                condition=~Q(is_blocked=True) | ~Q(blocked_reason=""),
                name="vendor_block_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(pan_number="") | Q(pan_number__regex=r"^[0-9]{9}$"),
                name="vendor_pan_digits",
            ),
        ]
        indexes = [
            # vendor list and routing
            models.Index(
                F("rating").desc(),
                "is_approved",
                name="vendor_rating_idx",
                condition=Q(deleted_at=None),
            ),
            # staff search by wholesaler
            GinIndex(
                OpClass(Upper("business_name"), name="gin_trgm_ops"),
                name="vendor_business_name_trgm_idx",
            ),
            GinIndex(
                OpClass(Upper("business_name_ne"), name="gin_trgm_ops"),
                name="vendor_name_ne_trgm_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.business_name} ({self.code})"


class ProductWords(models.Func):
    """The words that a product is found by, as the function of a migration of the same name sees them."""

    function = "product_words"
    output_field = ArrayField(models.TextField())

    def __init__(self, *fields: Any) -> None:
        super().__init__(*(fields or ("name", "name_ne", "aliases", "brand", "sku")))


class ProductQuerySet(models.QuerySet["Product"]):
    def active(self) -> "ProductQuerySet":
        return self.filter(is_active=True, deleted_at=None)


class Product(models.Model):
    """A good in one pack size. `tax_rate` is per cent VAT; quantities count packs."""

    sku = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    name_ne = models.CharField(max_length=200, blank=True)
    aliases = models.CharField(
        max_length=500, blank=True, help_text="other words people use, separated by |"
    )
    brand = models.CharField(max_length=80, blank=True)
    category = models.CharField(max_length=80)
    sub_category = models.CharField(max_length=80, blank=True)
    unit = models.CharField(max_length=16, default="piece")
    pack_size = models.CharField(max_length=40, blank=True)
    tax_rate = models.DecimalField(max_digits=4, decimal_places=2, default=13)
    min_quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    max_quantity = models.PositiveIntegerField(default=1000)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        db_table = "products"
        constraints = [
            models.CheckConstraint(
                condition=Q(min_quantity__gte=1) & Q(max_quantity__gte=F("min_quantity")),
                name="product_quantity_range",
            ),
            models.CheckConstraint(
                condition=Q(tax_rate__range=(0, 100)), name="product_tax_rate_range"
            ),
        ]
        indexes = [
            # catalogue browse
            models.Index(
                fields=["category", "sub_category", "is_active"],
                name="product_category_idx",
                condition=Q(deleted_at=None),
            ),
            # the catalogue by name, and what is new in it
            models.Index(
                fields=["name", "id"],
                name="product_name_idx",
                condition=Q(is_active=True, deleted_at=None),
            ),
            models.Index(
                fields=["-created_at", "-id"],
                name="product_created_idx",
                condition=Q(is_active=True, deleted_at=None),
            ),
            # staff search by name: UPPER, because that is what icontains compiles to
            GinIndex(
                OpClass(Upper("name"), name="gin_trgm_ops"),
                name="products_name_trgm_idx",
                fastupdate=False,  # or each search reads the entries that wait to be sorted in
            ),
            # staff list filter
            models.Index(fields=["-id"], condition=Q(is_active=False), name="product_inactive_idx"),
            # product search by words, typing errors put right first
            GinIndex(ProductWords(), name="product_words_idx", fastupdate=False),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"


class OfferQuerySet(models.QuerySet["VendorProduct"]):
    def on_sale(self) -> "OfferQuerySet":
        """Offers that an order may take from."""
        return self.filter(
            is_available=True,
            deleted_at=None,
            product__is_active=True,
            product__deleted_at=None,
            vendor__is_approved=True,
            vendor__is_blocked=False,
            vendor__deleted_at=None,
        )

    def in_stock(self) -> "OfferQuerySet":
        """Offers with packs that no order has reserved."""
        return self.filter(stock__gt=F("reserved"))

    def sold_out(self) -> "OfferQuerySet":
        """Offers whose every pack is reserved, or that have none."""
        return self.filter(stock__lte=F("reserved"))


class VendorProduct(models.Model):
    """One vendor's offer of one product: price in NPR without VAT, packs on hand, packs promised.

    Constraint, lock and condition say the same: 0 <= reserved <= stock.
    """

    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="offers", db_index=False)
    product = models.ForeignKey(Product, models.PROTECT, related_name="offers", db_index=False)
    vendor_price = models.DecimalField(max_digits=12, decimal_places=2)
    stock = models.IntegerField(default=0)
    reserved = models.IntegerField(db_default=0, default=0)
    is_available = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        db_table = "vendor_products"
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "product"], name="offer_once_per_vendor_product"
            ),
            models.CheckConstraint(condition=Q(vendor_price__gt=0), name="offer_price_positive"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0) & Q(reserved__lte=F("stock")),
                name="offer_reserved_within_stock",
            ),
        ]
        indexes = [
            # best offer for a product
            models.Index(
                fields=["product", "is_available", "vendor_price"],
                name="offer_product_price_idx",
                condition=Q(deleted_at=None),
            ),
            # vendor's catalogue, an index-only scan
            models.Index(
                fields=["vendor", "is_available"],
                include=["product", "vendor_price", "stock"],
                name="offer_vendor_catalogue_idx",
                condition=Q(deleted_at=None),
            ),
            # price sort and filter
            models.Index(
                fields=["vendor_price"],
                name="offer_price_idx",
                condition=Q(is_available=True, deleted_at=None),
            ),
            # staff list filter
            models.Index(
                fields=["-id"], condition=Q(is_available=False), name="offer_unavailable_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"offer {self.pk}"

    @property
    def available(self) -> int:
        """Packs that no order has reserved."""
        return self.stock - self.reserved
