"""Serializers with strict fields: exact money, whole integers, UTC, and strings that can be stored.

Subclass `Serializer` and `ModelSerializer` of this module, and take explicit fields from it as well.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers

M = TypeVar("M", bound=models.Model)
B = TypeVar("B", bound=serializers.BaseSerializer[Any])
BIGINT_MAX = 2**63 - 1
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class IntegerField(serializers.IntegerField):
    """A JSON number without a point: no string, no boolean. Within bigint unless narrower."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("min_value", -BIGINT_MAX - 1)
        options.setdefault("max_value", BIGINT_MAX)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class IdField(IntegerField):
    """The id of a record."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 1, **options})


class QueryIdField(IdField):
    """The id of a record in a query string."""

    def to_internal_value(self, data: Any) -> int:
        text = str(data).strip()
        return super().to_internal_value(int(text) if text.isdecimal() else data)


class DecimalField(serializers.DecimalField):
    """An exact decimal, read from a string or a number, written as a string.

    No exponent, no digit separators, no NaN, and no more places than declared: never rounded.
    """

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int | float | Decimal):
            self.fail("invalid")
        text = data.strip() if isinstance(data, str) else str(data)
        if isinstance(data, str) and not _DECIMAL.fullmatch(text[: self.MAX_STRING_LENGTH + 1]):
            self.fail("invalid")
        return super().to_internal_value(text)


class MoneyField(DecimalField):
    """An amount in NPR, `"1250.00"`; below 10,000,000,000.00 either way."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_digits": 12, "decimal_places": 2, **options})


class DateTimeField(serializers.DateTimeField):
    """An instant as ISO 8601 in UTC to the microsecond; one read without an offset is UTC."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("default_timezone", UTC)
        super().__init__(**options)

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class CharField(serializers.CharField):
    """A string, trimmed; nothing else is taken for one. NUL and half surrogate pairs are refused."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@cache
def ready(serializer: type[B]) -> B:
    """Return the one instance of a serializer that belongs to no request, its fields made once.

    For `run_validation` and `to_representation`, which keep nothing on it. A serializer that reads its
    context needs an instance of its own: making the fields anew is most of what DRF costs.
    """
    return serializer()


class Serializer(serializers.Serializer[Any]):
    """A body or an answer that is no model's."""


class ModelSerializer(serializers.ModelSerializer[M]):
    """A model's fields, strict. Money columns become strings; name `fields` one by one."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.AutoField: IntegerField,
        models.BigAutoField: IntegerField,
        models.BigIntegerField: IntegerField,
        models.IntegerField: IntegerField,
        models.PositiveIntegerField: IntegerField,
        models.PositiveSmallIntegerField: IntegerField,
        models.SmallIntegerField: IntegerField,
        models.DecimalField: DecimalField,
        models.DateTimeField: DateTimeField,
        models.CharField: CharField,
        models.TextField: CharField,
    }
