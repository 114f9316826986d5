from khaacho.exceptions import Conflict, Refused


class QuantityOutOfRange(Refused):
    """A quantity is outside the product's minimum and maximum."""

    code = "minimum_quantity"


class ProductUnavailable(Refused):
    """A product cannot be had from this vendor."""

    code = "product_unavailable"


class NoVendorAvailable(Refused):
    """No vendor can serve every line."""

    code = "no_vendor_available"


class IllegalTransition(Conflict):
    """The order is not in a state that allows this."""

    code = "illegal_transition"


class AlreadyDecided(Conflict):
    """This refusal was decided already."""

    code = "already_decided"


class AllocationExceedsDue(Refused):
    """An allocation is larger than what the order has left to pay."""

    code = "allocation_exceeds_due"
