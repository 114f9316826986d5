"""What the catalogue shows, by groups of cached pages, and which facts change them (docs/caches.md).

A fact that changes in kind (a price, an offer, on sale or not, in stock or sold out) is forgotten at the
commit. The number of packs left, which every order changes, is shown at most SOON_SECONDS old;
placing an order looks at the stock itself.
"""

from collections.abc import Iterable

from khaacho import caches

CATALOGUE = "catalogue"  # lists over all products
STANDING = "standing"  # whatever shows vendors' names or products' descriptions
VENDORS = "vendors"  # the list of vendors, and each of them


def product(product_id: int) -> str:
    return f"product:{product_id}"


def vendor(vendor_id: int) -> str:
    return f"vendor:{vendor_id}"


def offers_changed(vendor_id: int, product_ids: Iterable[int]) -> None:
    caches.forget(CATALOGUE, vendor(vendor_id), *(product(pk) for pk in sorted(set(product_ids))))


def packs_moved(moved: Iterable[tuple[int, int, bool]]) -> None:
    """Take (product id, vendor id, whether it sold out or came back) of each offer."""
    moved = list(moved)
    for product_id, vendor_id, in_kind in moved:
        if in_kind:
            offers_changed(vendor_id, [product_id])
    places = {product(row[0]) for row in moved} | {vendor(row[1]) for row in moved}
    caches.forget_soon(CATALOGUE, *sorted(places))


def products_changed() -> None:
    caches.forget(CATALOGUE, STANDING)


def vendors_changed() -> None:
    caches.forget(CATALOGUE, STANDING, VENDORS)


def ratings_changed() -> None:
    """A rating is recomputed after every order; beside an offer it may be as old as the page."""
    caches.forget_soon(VENDORS)
