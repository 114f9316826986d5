"""What a retailer is shown of its credit, and that it changed."""

from khaacho import caches


def credit(retailer_id: int) -> str:
    return f"credit:{retailer_id}"


def credit_changed(retailer_id: int) -> None:
    """Have the retailer's credit computed anew once the caller's transaction has committed."""
    caches.forget(credit(retailer_id))
