"""Who looks: a shop, a wholesaler and staff over the API, an administrator in the admin site."""

from dataclasses import dataclass

from django.test import Client

from credit.models import Retailer
from khaacho import tokens
from khaacho.enums import Role
from khaacho.models import User
from vendors.models import Vendor

HOST = "127.0.0.1"


class Refused(Exception):
    """A page did not answer with success."""


@dataclass(frozen=True)
class Visitor:
    """One person's browser or program."""

    client: Client

    def get(self, path: str) -> bytes:
        """Return the body. Raises Refused for any status but 200."""
        response = self.client.get(path)
        body = response.getvalue()
        if response.status_code != 200:
            raise Refused(f"{path}: {response.status_code} {body[:300]!r}")
        return body


@dataclass(frozen=True)
class Visitors:
    """A busy shop and the busiest wholesaler of a scale, which have the first ids, and the first of the staff."""

    retailer: Visitor
    vendor: Visitor
    staff: Visitor
    admin: Visitor
    retailer_id: int
    vendor_id: int
    staff_id: int


def visitors() -> Visitors:
    """Sign everybody in; writes tokens and a session, which the caller rolls back."""
    # the second: the first may have an account as long as the trade, the only one of its kind
    retailer = Retailer.objects.approved().select_related("user").order_by("pk")[1]
    vendor = Vendor.objects.approved().select_related("user").order_by("pk")[0]
    staff = User.objects.filter(role=Role.ADMIN, is_superuser=True).order_by("pk")[0]
    return Visitors(
        retailer=_api(retailer.user),
        vendor=_api(vendor.user),
        staff=_api(staff),
        admin=_admin(staff),
        retailer_id=retailer.pk,
        vendor_id=vendor.pk,
        staff_id=staff.pk,
    )


def _api(user: User) -> Visitor:
    bearer = {"Authorization": f"Bearer {tokens.issue(user).access}", "Host": HOST}
    return Visitor(Client(headers=bearer))


def _admin(user: User) -> Visitor:
    client = Client(headers={"Host": HOST})
    client.force_login(user)
    return Visitor(client)
