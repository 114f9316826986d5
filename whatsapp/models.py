"""What people write to us and what we write to them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from credit.models import Retailer
from orders.models import Order
from vendors.models import Vendor
from whatsapp.enums import Direction, MessageKind, MessageStatus


class WhatsAppWebhook(models.Model):
    """A provider's request as it came, stored once before it is answered; a job reads it."""

    provider = models.CharField(max_length=10)
    digest = models.CharField(max_length=64, unique=True)
    body = models.BinaryField()
    messages_found = models.IntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "whatsapp_webhooks"
        indexes = [
            # the sweep that finds unread webhooks
            models.Index(
                fields=["created_at"],
                name="webhook_unread_idx",
                condition=Q(processed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"webhook {self.pk}"


class WhatsAppConversation(models.Model):
    """One person's thread. `draft` holds the order being made, until it is confirmed or 24 h old."""

    phone = models.CharField(max_length=16, unique=True)
    retailer = models.ForeignKey(
        Retailer, models.PROTECT, null=True, blank=True, related_name="conversations"
    )
    vendor = models.ForeignKey(
        Vendor, models.PROTECT, null=True, blank=True, related_name="conversations"
    )
    draft = models.JSONField(null=True, blank=True)
    draft_expires_at = models.DateTimeField(null=True, blank=True)
    last_inbound_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "whatsapp_conversations"

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class WhatsAppMessage(models.Model):
    """One message in or out. `provider_message_id` (the wamid) is unique: each is taken once.

    `key` is our own id of an outbound message: the same notice is never queued twice.
    """

    conversation = models.ForeignKey(WhatsAppConversation, models.PROTECT, related_name="messages")
    direction = models.CharField(max_length=3, choices=Direction)
    provider_message_id = models.CharField(max_length=160, unique=True, null=True, blank=True)  # noqa: DJ001 - none until sent
    key = models.CharField(max_length=160, unique=True, null=True, blank=True)  # noqa: DJ001 - inbound has none
    from_number = models.CharField(max_length=16)
    to_number = models.CharField(max_length=16)
    message_type = models.CharField(max_length=20, default="text")
    kind = models.CharField(max_length=20, choices=MessageKind, default=MessageKind.GENERIC)
    body = models.TextField(blank=True)
    payload = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=MessageStatus)
    is_processed = models.BooleanField(default=False)
    error = models.CharField(max_length=500, blank=True, db_default="", default="")
    order = models.ForeignKey(Order, models.PROTECT, null=True, blank=True, related_name="messages")
    created_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "whatsapp_messages"
        indexes = [
            # 16 conversation
            models.Index(fields=["from_number", "-created_at"], name="message_from_idx"),
            # 17 staff list
            models.Index(fields=["is_processed", "-created_at"], name="message_processed_idx"),
            # 18 the sweep that finds unprocessed work
            models.Index(
                fields=["created_at"],
                name="message_unprocessed_idx",
                condition=Q(is_processed=False),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"
