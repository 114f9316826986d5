"""The queues over HTTP, for whoever watches by machine."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.api.permissions import IsStaff
from khaacho.api.serializers import CharField, IntegerField, Serializer
from monitoring import queues

NO_STORE = {"Cache-Control": "no-store"}


class QueueSerializer(Serializer):
    queue = CharField()
    waiting = IntegerField(help_text="due and free to be taken")
    active = IntegerField()
    delayed = IntegerField(help_text="not before a later moment")
    retrying = IntegerField(help_text="failed, waiting for the next attempt")
    completed_1h = IntegerField()
    failed_1h = IntegerField(help_text="jobs whose last failed attempt is within the hour")
    dead = IntegerField()
    paused = serializers.BooleanField()
    concurrency = IntegerField(help_text="jobs at once of one node of this queue")
    oldest_waiting_seconds = serializers.FloatField(help_text="0 when nothing waits")
    wait_p95_ms = IntegerField(
        allow_null=True, help_text="from due to taken, 15 minutes; within 5 %"
    )
    run_p95_ms = IntegerField(allow_null=True, help_text="15 minutes; within 5 %")
    throughput_per_minute = serializers.FloatField(help_text="mean of 5 minutes")
    deduplicated_24h = IntegerField(
        help_text="requests folded into jobs that are open or ended in the last 24 hours"
    )
    stalled_24h = IntegerField(help_text="leases of such jobs that expired")
    broker_depth = IntegerField(
        allow_null=True, help_text="pointers in Redis; null when it is down"
    )


class WorkerSerializer(Serializer):
    name = CharField()
    queues = serializers.ListField(child=CharField())
    concurrency = IntegerField()
    seen_seconds = serializers.FloatField(help_text="since it was last seen")


class QueueStatsSerializer(Serializer):
    redis = CharField(help_text="ok, down")
    sweep_last_run_seconds = serializers.FloatField(allow_null=True, help_text="null: never")
    beat_last_tick_seconds = serializers.FloatField(allow_null=True, help_text="null: never")
    workers = WorkerSerializer(many=True)
    queues = QueueSerializer(many=True)


class QueueStatsView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(operation_id="queues_stats", responses={200: QueueStatsSerializer})
    def get(self, request: Request) -> Response:
        """Show what each queue is doing, and who works; exact counts, also with Redis down."""
        return Response(QueueStatsSerializer(queues.overview()).data, headers=NO_STORE)
