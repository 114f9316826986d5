"""JSON bodies: bounded in size and depth, strict, with exact decimals."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 32
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class ContentTooLarge(APIException):
    """The body is larger than the API accepts."""

    status_code = 413
    default_code = "content_too_large"
    default_detail = "The body is too large."


class BoundedJSONParser(BaseParser):
    """Parse an object of JSON; numbers with a point become Decimal.

    A list at the top is refused unless the view says `accepts_list = True`.
    Raises ContentTooLarge (413) and ParseError (400): not UTF-8, malformed, NaN, NUL or half a
    surrogate pair in a string, more than MAX_DEPTH levels deep.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.API_BODY_MAX_BYTES
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise ContentTooLarge(f"The body is larger than {limit} bytes.")
        parsed = loads(body)
        if isinstance(parsed, dict):
            return parsed
        view = (parser_context or {}).get("view")
        if isinstance(parsed, list) and getattr(view, "accepts_list", False):
            return parsed
        raise ParseError("The body must be a JSON object.")


def loads(body: bytes) -> object:
    """Return what strict JSON says. Raises ParseError."""
    try:
        parsed = json.loads(body.decode(), parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None
    except (ValueError, ArithmeticError):
        raise ParseError("The body is not valid JSON.") from None
    for text in _strings(parsed, MAX_DEPTH):
        if _UNSTORABLE.search(text):
            raise ParseError("A string contains NUL or half a character.")
    return parsed


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _strings(value: object, depth: int) -> Iterator[str]:
    """Yield every string and key. Raises ParseError below `depth` levels."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        if not depth:
            raise ParseError("The JSON is nested too deeply.")
        if isinstance(value, dict):
            yield from value
            value = list(value.values())
        for item in value:
            yield from _strings(item, depth - 1)
