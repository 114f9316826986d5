"""The catalogue itself: products created and updated by SKU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from khaacho.actors import SYSTEM, Actor, act, require_staff
from vendors import shown
from vendors.catalogue import FIELDS, CatalogueRow
from vendors.models import Product


@dataclass(frozen=True)
class ImportCounts:
    created: int
    updated: int
    unchanged: int


IMPORT_BATCH = 2000


@transaction.atomic
def import_products(
    rows: Sequence[CatalogueRow],
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    actor: Actor = SYSTEM,
) -> ImportCounts:
    """Create or update products by SKU; all in one transaction, a few statements per 2,000 rows.

    Rows that change nothing are not written. `progress` is called with rows done and in all.
    """
    act(actor)
    require_staff(actor)
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    for start in range(0, len(rows), IMPORT_BATCH):
        batch = rows[start : start + IMPORT_BATCH]
        present = {
            values["sku"]: values
            for values in Product.objects.filter(sku__in=[row.sku for row in batch]).values(*FIELDS)
        }
        changed = [row for row in batch if present.get(row.sku) != vars(row)]
        new = sum(row.sku not in present for row in changed)
        counts["created"] += new
        counts["updated"] += len(changed) - new
        counts["unchanged"] += len(batch) - len(changed)
        if not dry_run:
            Product.objects.bulk_create(
                [Product(**vars(row), updated_at=Now()) for row in changed],
                update_conflicts=True,
                unique_fields=["sku"],
                update_fields=[*(name for name in FIELDS if name != "sku"), "updated_at"],
            )
        progress(min(start + IMPORT_BATCH, len(rows)), len(rows))
    shown.products_changed()
    return ImportCounts(**counts)
