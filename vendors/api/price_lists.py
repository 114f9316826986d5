"""A price list's rows between JSON and the verb: each is read, and answered, by itself."""

from collections.abc import Sequence
from typing import Any, TypedDict

from rest_framework.exceptions import ValidationError

from khaacho.actors import Actor
from khaacho.api.problems import Problem, describe
from khaacho.exceptions import Invalid, KhaachoError
from vendors import services
from vendors.api.serializers import OfferRowSerializer
from vendors.models import VendorProduct
from vendors.services import OfferRow, RowOutcome


class RowResult(TypedDict):
    index: int
    product_id: int | None
    outcome: str
    offer_id: int | None
    vendor_price: Any
    stock: int | None
    code: str
    detail: str
    errors: Any


class Result(TypedDict):
    created: int
    updated: int
    refused: int
    results: list[RowResult]


def load(items: Sequence[Any], actor: Actor) -> Result:
    """Import the rows that can be read for the actor's own vendor, and say what became of each."""
    read = [_read(item) for item in items]
    rows = [row for row in read if isinstance(row, OfferRow)]
    written = iter(services.import_offers(vendor_id=actor.vendor_id or 0, rows=rows, actor=actor))
    outcomes = [next(written) if isinstance(row, OfferRow) else row for row in read]
    results = [_result(*each) for each in zip(range(len(items)), items, outcomes, strict=True)]
    count = [result["outcome"] for result in results].count
    return Result(
        created=count("created"),
        updated=count("updated"),
        refused=count("refused"),
        results=results,
    )


def _read(item: Any) -> OfferRow | RowOutcome:
    row = OfferRowSerializer(data=item)
    try:
        row.is_valid(raise_exception=True)
    except ValidationError as error:
        return RowOutcome(error=_as_invalid(describe(error)))
    return OfferRow(**row.validated_data)


def _as_invalid(problem: Problem) -> KhaachoError:
    return Invalid(problem.detail, errors=dict(problem.errors))


def _result(index: int, item: Any, outcome: RowOutcome) -> RowResult:
    given = item.get("product_id") if isinstance(item, dict) else None
    offer = outcome.offer or VendorProduct()
    problem = describe(outcome.error) if outcome.error else Problem(200)
    return RowResult(
        index=index,
        product_id=given if isinstance(given, int) and not isinstance(given, bool) else None,
        outcome="refused" if outcome.error else "created" if outcome.is_new else "updated",
        offer_id=offer.pk,
        vendor_price=offer.vendor_price,
        stock=offer.stock if outcome.offer else None,
        code=problem.code,
        detail=problem.detail,
        errors=problem.errors,
    )
