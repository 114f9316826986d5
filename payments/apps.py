from datetime import timedelta

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from credit.events import ScoringAsked
        from khaacho import events, jobs, schedules
        from khaacho.enums import Queue
        from orders.events import DuesOverdue, OrderCancelled, OrderCompleted, OrderDelivered
        from payments.events import PaymentRecorded, PaymentReversed

        events.subscribe(OrderDelivered, "payments.handlers.order_delivered")
        events.subscribe(PaymentReversed, "payments.handlers.payment_reversed")
        events.subscribe(PaymentRecorded, "payments.handlers.payment_recorded")
        events.subscribe(OrderCompleted, "payments.handlers.order_closed")
        events.subscribe(OrderCancelled, "payments.handlers.order_closed")
        events.subscribe(DuesOverdue, "payments.handlers.dues_overdue")
        events.subscribe(ScoringAsked, "payments.handlers.scoring_asked", queue=Queue.CREDIT_SCORE)
        for name in ("rescore", "rescore_chunk", "rescore_all", "review_risk", "review_chunk"):
            jobs.register(f"payments.{name}", f"payments.tasks.{name}", queue=Queue.CREDIT_SCORE)
        schedules.register(
            "credit scores of all approved retailers", "payments.rescore_all", at=(2, 30)
        )
        schedules.register(
            "risk review of retailers whose facts changed",
            "payments.review_risk",
            every=timedelta(hours=1),
        )
        self._remind()

    def _remind(self) -> None:
        from khaacho import events, jobs, schedules
        from khaacho.enums import Queue
        from payments.events import PaymentRecorded, PaymentReversed

        for name in ("find_reminders", "remind"):
            jobs.register(
                f"payments.{name}", f"payments.tasks.{name}", queue=Queue.PAYMENT_REMINDERS
            )
        # However late, the plan itself keeps to the hours in which people may be written to.
        schedules.register("payment reminders due today", "payments.find_reminders", at=(9, 0))
        events.subscribe(PaymentRecorded, "payments.handlers.money_came")
        events.subscribe(PaymentReversed, "payments.handlers.money_went")
