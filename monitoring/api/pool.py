"""The connection pools of all processes over HTTP, for whoever watches by machine."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.api.permissions import IsStaff
from khaacho.api.serializers import CharField, IntegerField, Serializer
from monitoring.sources import pool

NO_STORE = {"Cache-Control": "no-store"}


class PoolSerializer(Serializer):
    size = IntegerField(help_text="connections that are open")
    max = IntegerField()
    available = IntegerField(help_text="open and free")
    waiting = IntegerField(help_text="callers who wait for one now")
    requests = IntegerField(help_text="callers since the process began")
    requests_waited = IntegerField(help_text="of these, who had to wait")
    wait_ms = IntegerField(help_text="that these waited together")
    errors = IntegerField(help_text="who got none in time")  # type: ignore[assignment] # a field is no attribute


class PoolProcessSerializer(PoolSerializer):
    name = CharField(help_text="host:pid")
    min = IntegerField()
    exhausted = serializers.BooleanField(source="is_exhausted")
    seen_seconds = serializers.FloatField(help_text="since it last said so")


class PoolTotalsSerializer(PoolSerializer):
    processes = IntegerField()


class PoolsSerializer(Serializer):
    redis = CharField(help_text="ok, down: then nobody knows, and nobody is listed")
    processes = PoolProcessSerializer(many=True)
    totals = PoolTotalsSerializer()


class PoolView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(operation_id="monitoring_pool", responses={200: PoolsSerializer})
    def get(self, request: Request) -> Response:
        """Show the pool of each process with one, and their sums; no statement of its own."""
        try:
            found, redis = pool.processes(), "ok"
        except pool.RedisDown:
            found, redis = [], "down"
        answer = {"redis": redis, "processes": found, "totals": pool.totals(found)}
        return Response(PoolsSerializer(answer).data, headers=NO_STORE)
