"""Verbs on vendors, offers, stock and products."""

from vendors.services.offers import (
    OfferRow,
    RowOutcome,
    change_offer,
    create_offer,
    import_offers,
    lock_offer,
    withdraw_offer,
)
from vendors.services.products import ImportCounts, import_products
from vendors.services.standing import (
    Place,
    Statistics,
    approve_vendor,
    block_vendor,
    lock_vendor,
    record_statistics,
    register_vendor,
    unblock_vendor,
)
from vendors.services.stock import Shortage, StockChange, move_stock

__all__ = [
    "ImportCounts",
    "OfferRow",
    "Place",
    "RowOutcome",
    "Shortage",
    "Statistics",
    "StockChange",
    "approve_vendor",
    "block_vendor",
    "change_offer",
    "create_offer",
    "import_offers",
    "import_products",
    "lock_offer",
    "lock_vendor",
    "move_stock",
    "record_statistics",
    "register_vendor",
    "unblock_vendor",
    "withdraw_offer",
]
