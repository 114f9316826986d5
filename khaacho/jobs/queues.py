"""The six queues: how much of each at once, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from khaacho.enums import Queue


@dataclass(frozen=True)
class QueueRule:
    """`concurrency` is how many jobs one node of the queue does at once; more nodes do more.

    The limits are seconds: after the soft one a job is interrupted, after the hard one its process is
    killed. A kind of work may have narrower ones. `number` is what the audit calls the queue.
    """

    number: int
    concurrency: int
    soft_limit: int
    hard_limit: int


QUEUES: Mapping[Queue, QueueRule] = {
    Queue.WHATSAPP: QueueRule(1, 5, 30, 45),
    Queue.CREDIT_SCORE: QueueRule(2, 2, 60, 90),
    Queue.ORDER_ROUTING: QueueRule(3, 3, 60, 90),
    Queue.PAYMENT_REMINDERS: QueueRule(4, 3, 30, 45),
    Queue.REPORTS: QueueRule(5, 1, 540, 600),
    Queue.ORDER_PROCESSING: QueueRule(6, 5, 60, 90),
}

# A condition on `queue`; the six rows at most are read once for the whole statement. Of `<> ALL (ARRAY(...))`
# the planner expects that it leaves almost nothing, and sorts what waits instead of following its index.
NOT_PAUSED = "queue NOT IN (SELECT s.queue FROM queue_settings s WHERE s.is_paused)"
