"""What each retailer owes by age, as the ORM says it: one conditional sum for each band."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Q, Sum
from django.utils import timezone

from orders.models import Order


def ageing(vendor_id: int, retailer_ids: Sequence[int]) -> list[Any]:
    """Return a row for each retailer that owes the vendor anything."""
    today = timezone.localdate()
    ends = [today - timedelta(days=days) for days in (0, 30, 60, 90)]
    bands = {
        "not_due": Q(due_date__gt=ends[0]),
        "days_0_30": Q(due_date__lte=ends[0], due_date__gte=ends[1]),
        "days_31_60": Q(due_date__lt=ends[1], due_date__gte=ends[2]),
        "days_61_90": Q(due_date__lt=ends[2], due_date__gte=ends[3]),
        "days_over_90": Q(due_date__lt=ends[3]),
        "overdue": Q(due_date__lt=today),
    }
    open_orders = Order.objects.filter(
        vendor_id=vendor_id, retailer_id__in=retailer_ids, due_date__isnull=False, due_amount__gt=0
    )
    sums = {name: Sum("due_amount", filter=band) for name, band in bands.items()}
    return list(open_orders.values("retailer_id").annotate(**sums))
