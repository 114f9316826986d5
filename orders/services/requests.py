"""What a retailer asks for, before anything was looked up."""

from dataclasses import dataclass
from typing import Any

from khaacho.exceptions import Invalid
from orders.enums import PaymentTerms

MAX_LINES = 200


@dataclass(frozen=True)
class Line:
    """A wanted product and how many packs of it."""

    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """What a retailer asks for. Without `vendor_id` the cheapest that can serve every line is taken."""

    retailer_id: int
    lines: tuple[Line, ...]
    vendor_id: int | None = None
    payment_terms: PaymentTerms = PaymentTerms.CREDIT
    notes: str = ""

    def quantities(self) -> dict[int, int]:
        """Packs per product; a product named twice is wanted twice."""
        packs: dict[int, int] = {}
        for line in self.lines:
            packs[line.product_id] = packs.get(line.product_id, 0) + line.quantity
        return packs

    def as_json(self) -> dict[str, Any]:
        return {
            "retailer_id": self.retailer_id,
            "vendor_id": self.vendor_id,
            "payment_terms": str(self.payment_terms),
            "notes": self.notes,
            "items": [vars(line) for line in self.lines],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "OrderRequest":
        return cls(
            retailer_id=value["retailer_id"],
            vendor_id=value["vendor_id"],
            payment_terms=PaymentTerms(value["payment_terms"]),
            notes=value["notes"],
            lines=tuple(Line(**line) for line in value["items"]),
        )


def check_request(request: OrderRequest) -> None:
    """Raise Invalid for a request that no catalogue could serve."""
    if not request.lines:
        raise Invalid(errors={"items": ["An order has at least one item."]})
    if len(request.lines) > MAX_LINES:
        raise Invalid(errors={"items": [f"An order has at most {MAX_LINES} items."]})
    if any(line.quantity < 1 for line in request.lines):
        raise Invalid(errors={"items": ["Quantities are at least 1."]})
    unknown = [p for p in request.quantities() if not 0 < p < 2**63]
    if unknown or any(q >= 2**31 for q in request.quantities().values()):
        raise Invalid(errors={"items": ["A number is out of range."]})
