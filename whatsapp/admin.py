"""What was written to and by us; read only."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from credit.models import Retailer
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    add_panel,
    by_number,
    by_phone,
    computed,
    exactly,
    one_of,
    pretty,
    sections,
)
from khaacho.adminsite.columns import EMPTY
from orders.models import Order
from payments.models import ReminderNotice
from whatsapp.enums import MessageStatus
from whatsapp.models import WhatsAppConversation, WhatsAppMessage, WhatsAppWebhook
from whatsapp.services.notices import reminder_key

EXCERPT = 80  # characters


@computed("text")
def _excerpt(message: WhatsAppMessage) -> str:
    return message.body if len(message.body) <= EXCERPT else f"{message.body[:EXCERPT]}…"


@admin.display(description="from", ordering="from_number")
def _sender(message: WhatsAppMessage) -> str:
    """Link to all that the number wrote, in a conversation or not."""
    if not message.from_number:
        return EMPTY
    query = urlencode({"from_number": message.from_number})
    return format_html('<a href="?{}">{}</a>', query, message.from_number)


@admin.register(WhatsAppMessage)
class MessageAdmin(KhaachoModelAdmin):
    list_display = (
        "id",
        "created_at",
        "direction",
        _sender,
        "to_number",
        "kind",
        _excerpt,
        "status",
        "is_processed",
        "order",
    )
    list_select_related = ("order",)
    list_filter = ("is_processed", one_of("status", MessageStatus.FAILED))
    ordering_when = {"from_number": ("-created_at",), "is_processed__exact": ("-created_at",)}
    deferred = ("payload",)
    searches = (
        by_number("order__order_number", "ORD"),
        by_phone("conversation__phone"),
        exactly("provider_message_id", "message id", r"wamid\..+"),
    )
    fieldsets = sections(
        (None, ("conversation", "direction", "from_number", "to_number", "order")),
        ("Message", ("message_type", "kind", "body", pretty("payload"))),
        (
            "Delivery",
            ("status", "is_processed", "error", "provider_message_id", "key"),
        ),
        ("Times", ("created_at", "processed_at", "sent_at")),
    )


MESSAGE_COLUMNS = ("created_at", "direction", "kind", _excerpt, "status")


@admin.register(WhatsAppConversation)
class ConversationAdmin(KhaachoModelAdmin):
    list_display = ("id", "phone", "retailer", "vendor", "last_inbound_at", "created_at")
    list_select_related = ("retailer", "vendor")
    deferred = ("draft",)
    searches = (by_phone("phone"),)
    fieldsets = sections(
        (None, ("phone", "provider_user_id", "retailer", "vendor")),
        ("Times", ("last_inbound_at", "created_at")),
        ("Draft", (pretty("draft"), "draft_expires_at")),
    )
    panels = (
        Panel(
            title="Messages",
            model=WhatsAppMessage,
            rows=lambda talk: (
                WhatsAppMessage.objects.filter(conversation=talk).defer("payload").order_by("-pk")
            ),
            columns=MESSAGE_COLUMNS,
            more="conversation__id__exact",
        ),
    )


@admin.register(WhatsAppWebhook)
class WebhookAdmin(KhaachoModelAdmin):
    """The body is a person's message: it is not shown, and lists and pages leave it in the database."""

    list_display = ("id", "created_at", "provider", "messages_found", "processed_at")
    searches = (exactly("pk", "id", r"\d{1,18}"), exactly("digest", "digest", r"[0-9a-f]{64}"))
    fieldsets = sections(
        (None, ("provider", "digest", "messages_found")),
        ("Times", ("created_at", "processed_at")),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("body")


add_panel(
    Order,
    Panel(
        title="Messages",
        model=WhatsAppMessage,
        rows=lambda order: (
            WhatsAppMessage.objects.filter(order=order).defer("payload").order_by("-pk")
        ),
        columns=MESSAGE_COLUMNS,
        more="order__id__exact",
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Conversations",
        model=WhatsAppConversation,
        rows=lambda shop: (
            WhatsAppConversation.objects.filter(retailer=shop).defer("draft").order_by("-pk")
        ),
        columns=("phone", "last_inbound_at", "created_at"),
    ),
)
add_panel(
    ReminderNotice,
    Panel(
        title="Message",
        model=WhatsAppMessage,
        rows=lambda notice: WhatsAppMessage.objects.filter(key=reminder_key(notice.pk)).defer(
            "payload"
        ),
        columns=("created_at", "to_number", "body", "status", "sent_at"),
    ),
)
