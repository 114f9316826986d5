from datetime import timedelta

from django.apps import AppConfig


class WhatsAppConfig(AppConfig):
    name = "whatsapp"

    def ready(self) -> None:
        from credit import events as credit
        from khaacho import events, jobs, schedules
        from khaacho.enums import Queue
        from orders import events as orders
        from payments import events as payments

        for name in ("read", "answer", "send", "recover"):
            jobs.register(
                f"whatsapp.{name}",
                f"whatsapp.tasks.{name}",
                queue=Queue.WHATSAPP,
                atomic=name != "send",
            )
        for event, handler in (
            (orders.OrderPlaced, "order_placed"),
            (orders.OrderOffered, "order_offered"),
            (orders.OrderAccepted, "order_accepted"),
            (orders.OrderDispatched, "order_dispatched"),
            (orders.OrderDelivered, "order_delivered"),
            (orders.OrderCancelled, "order_cancelled"),
            (orders.OrderUnroutable, "order_unroutable"),
            (payments.PaymentRecorded, "payment_recorded"),
            (payments.PaymentReversed, "payment_reversed"),
            (credit.RetailerApproved, "retailer_approved"),
        ):
            events.subscribe(event, f"whatsapp.handlers.{handler}", queue=Queue.WHATSAPP)
        schedules.register(
            "unread WhatsApp messages", "whatsapp.recover", every=timedelta(minutes=5)
        )
