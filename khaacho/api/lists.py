"""Lists of models: DRF's, read from the replica where that is as good (docs/replica.md)."""

from typing import Any, TypeVar

from django.db.models import Model
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from khaacho import replica
from khaacho.api.authentication import caller

M = TypeVar("M", bound=Model)


class ListView(ListAPIView[M]):
    """A list that is filtered, sorted, paginated and serialized by DRF."""

    def list(self, request: Request, *args: Any, **route: Any) -> Response:
        listed = super().list
        return replica.read(caller(request).user_id, lambda: listed(request, *args, **route))
