"""Questions of the WhatsApp dialogue."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from khaacho import sql
from khaacho.actors import Actor
from khaacho.enums import Role

SUGGESTIONS = 3
SIMILAR = 0.3  # trigram similarity, 0-1


@dataclass(frozen=True)
class Speaker:
    """A registered person at the other end: a shop's user or a wholesaler's."""

    user_id: int
    name: str
    language: str
    role: Role
    retailer_id: int | None
    vendor_id: int | None

    @property
    def actor(self) -> Actor:
        return Actor(
            user_id=self.user_id,
            role=self.role,
            name=self.name,
            retailer_id=self.retailer_id,
            vendor_id=self.vendor_id,
        )


SPEAKER = (
    "SELECT u.id, u.name, u.language, u.role, r.id, v.id FROM users u"
    " LEFT JOIN retailers r ON r.user_id = u.id AND u.role = 'RETAILER' AND r.deleted_at IS NULL"
    " LEFT JOIN vendors v ON v.user_id = u.id AND u.role = 'VENDOR' AND v.deleted_at IS NULL"
    " WHERE u.phone = %s AND u.is_active AND u.deleted_at IS NULL"
    " AND (r.id IS NOT NULL OR v.id IS NOT NULL)"
)


def speaker(phone: str | None) -> Speaker | None:
    """Return the active shop's or wholesaler's user with that phone. One statement."""
    row = sql.fetch_one(SPEAKER, [phone])
    return Speaker(row[0], row[1], row[2], Role(row[3]), row[4], row[5]) if row else None


@dataclass(frozen=True)
class Listed:
    """A product as a text may name it; quantities are packs."""

    product_id: int
    sku: str
    min_quantity: int
    max_quantity: int


def listed(skus: Collection[str], *, beginning: Collection[str] = ()) -> dict[str, Listed]:
    """Active products by SKU in capitals: those named, and those that begin with a text.

    SKUs that differ only in case are left out: a message cannot tell them apart. One statement.
    """
    rows = sql.fetch(
        "SELECT upper(sku), id, sku, min_quantity, max_quantity FROM products"
        " WHERE is_active AND deleted_at IS NULL"
        " AND (upper(sku) = ANY(%s) OR upper(sku) ^@ ANY(%s))",
        [list(skus), list(beginning)],
    )
    names = [row[0] for row in rows]
    return {row[0]: Listed(*row[1:]) for row in rows if names.count(row[0]) == 1}


def suggestions(texts: Collection[str]) -> Mapping[str, list[str]]:
    """Up to three SKUs per text whose code or name resembles it, best first. One statement."""
    rows = sql.fetch(
        "SELECT t.text, s.sku FROM unnest(%(texts)s::text[]) AS t (text) CROSS JOIN LATERAL ("
        " SELECT p.sku, greatest(similarity(upper(p.sku), upper(t.text)),"
        " word_similarity(upper(p.sku), upper(t.text)), word_similarity(upper(t.text), upper(p.name)))"
        " AS likeness FROM products p WHERE p.is_active AND p.deleted_at IS NULL"
        " ORDER BY likeness DESC, p.sku LIMIT %(most)s) AS s WHERE s.likeness >= %(similar)s"
        " ORDER BY t.text, s.likeness DESC, s.sku",
        {"texts": list(texts), "most": SUGGESTIONS, "similar": SIMILAR},
    )
    found: dict[str, list[str]] = {}
    for text, sku in rows:
        found.setdefault(text, []).append(sku)
    return found


def skus(product_ids: Collection[int]) -> Mapping[int, str]:
    """SKUs by product id. One statement."""
    rows = sql.fetch("SELECT id, sku FROM products WHERE id = ANY(%s)", [list(product_ids)])
    return dict(rows)
