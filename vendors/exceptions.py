from khaacho.exceptions import Refused


class InsufficientStock(Refused):
    """Not enough stock is left."""

    code = "insufficient_stock"


class VendorNotApproved(Refused):
    """This vendor is not approved."""

    code = "vendor_not_approved"


class StockBelowReserved(Refused):
    """Stock cannot fall below what orders have reserved."""

    code = "stock_below_reserved"


class OfferExists(Refused):
    """There is an offer of this product already."""

    code = "offer_exists"
