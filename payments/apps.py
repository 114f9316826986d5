from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from khaacho import events
        from orders.events import OrderDelivered
        from payments.events import PaymentReversed

        events.subscribe(OrderDelivered, "payments.handlers.order_delivered")
        events.subscribe(PaymentReversed, "payments.handlers.payment_reversed")
        self._remind()

    def _remind(self) -> None:
        from khaacho import events, jobs, schedules
        from khaacho.enums import Queue
        from payments.events import PaymentRecorded, PaymentReversed

        for name in ("find_reminders", "remind"):
            jobs.register(
                f"payments.{name}",
                f"payments.tasks.{name}",
                queue=Queue.PAYMENT_REMINDERS,
                soft_limit=30,
                hard_limit=45,
            )
        schedules.register("payment reminders due today", "payments.find_reminders", at=(9, 0))
        events.subscribe(PaymentRecorded, "payments.handlers.money_came")
        events.subscribe(PaymentReversed, "payments.handlers.money_went")
