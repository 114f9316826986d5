"""Who may sign in to the demo, in a file that only its owner can read."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from khaacho import sql

ADMIN_PHONE = "+9779800000001"
OPERATOR_PHONE = "+9779800000002"


class Login(TypedDict):
    phone: str
    password: str


class RetailerLogin(Login):
    retailer_id: int
    shop_name: str


class VendorLogin(Login):
    vendor_id: int
    business_name: str


class Logins(TypedDict):
    admin: Login
    operator: Login
    retailers: list[RetailerLogin]
    vendors: list[VendorLogin]


def _password() -> str:
    return secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Passwords:
    """One random password per kind of demo user, so that each is hashed once."""

    admin: str = field(default_factory=_password)
    operator: str = field(default_factory=_password)
    vendor: str = field(default_factory=_password)
    retailer: str = field(default_factory=_password)


def collect(passwords: Passwords) -> Logins:
    """Return the logins of the demo's staff and of its approved shops and vendors. Two queries."""
    retailers = sql.fetch(
        "SELECT u.phone, r.id, r.shop_name FROM retailers r JOIN users u ON u.id = r.user_id"
        " WHERE u.phone LIKE '+97798002%%' AND r.is_approved AND NOT r.is_blocked ORDER BY r.id"
    )
    vendors = sql.fetch(
        "SELECT u.phone, v.id, v.business_name FROM vendors v JOIN users u ON u.id = v.user_id"
        " WHERE u.phone LIKE '+97798001%%' AND v.is_approved AND NOT v.is_blocked ORDER BY v.id"
    )
    return {
        "admin": {"phone": ADMIN_PHONE, "password": passwords.admin},
        "operator": {"phone": OPERATOR_PHONE, "password": passwords.operator},
        "retailers": [
            {"phone": phone, "password": passwords.retailer, "retailer_id": pk, "shop_name": name}
            for phone, pk, name in retailers
        ],
        "vendors": [
            {"phone": phone, "password": passwords.vendor, "vendor_id": pk, "business_name": name}
            for phone, pk, name in vendors
        ],
    }


def prepare(path: Path, logins: Logins) -> Path:
    """Write `logins` merged into what `path` holds to a new file beside it, mode 0600; return that.

    The caller renames it once the trade is committed: nobody's password gets lost on the way.
    """
    kept: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({**kept, **logins}, file, indent=2, ensure_ascii=False)
    return draft
