"""Questions about payments."""

from django.db.models import Prefetch, QuerySet

from khaacho.actors import Actor
from payments.models import Payment, PaymentAllocation


def payments(actor: Actor) -> QuerySet[Payment]:
    """Payments that the actor may see, with their retailers and vendors."""
    return Payment.objects.for_user(actor).select_related("retailer", "vendor")


def shown(actor: Actor) -> QuerySet[Payment]:
    """Payments with all that a payment's page shows. Two queries."""
    parts = PaymentAllocation.objects.select_related("order").order_by("id")
    return payments(actor).prefetch_related(Prefetch("allocations", parts))
