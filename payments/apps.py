from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from khaacho import events
        from orders.events import OrderDelivered
        from payments.events import PaymentReversed

        events.subscribe(OrderDelivered, "payments.handlers.order_delivered")
        events.subscribe(PaymentReversed, "payments.handlers.payment_reversed")
