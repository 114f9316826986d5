"""What people write to us and what we write to them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from credit.models import Retailer
from orders.models import Order
from vendors.models import Vendor
from whatsapp.enums import INBOUND_STATUSES, LADDER, Direction, MessageKind, MessageStatus


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
    """One person's thread, known by phone (E.164), or by the provider's user id where it hides the phone.

    `draft` is the order being made, `whatsapp.services.drafts.Draft` as JSON, until it is confirmed,
    discarded or past `draft_expires_at`.
    """

    phone = models.CharField(max_length=16, unique=True, null=True, blank=True)
    provider_user_id = models.CharField(max_length=160, unique=True, null=True, blank=True)
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
        constraints = [
            models.CheckConstraint(
                condition=Q(phone__isnull=False) | Q(provider_user_id__isnull=False),
                name="conversation_has_a_person",
            ),
            models.CheckConstraint(
                condition=Q(draft__isnull=True) | Q(draft_expires_at__isnull=False),
                name="conversation_draft_expires",
            ),
        ]

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class WhatsAppMessage(models.Model):
    """One message in or out. `provider_message_id` (the wamid) is unique: each is taken once.

    `key` is our own id of an outbound message: the same notice is never queued twice, and the
    provider returns it with its reports. `is_processed`: nothing of ours is left to do about it.
    `sent_at` is the sender's time inbound, the provider's acceptance outbound; `sends` counts tries
    to hand it over. An inbound message of an unknown shape may have no conversation.
    """

    conversation = models.ForeignKey(
        WhatsAppConversation, models.PROTECT, null=True, related_name="messages"
    )
    direction = models.CharField(max_length=3, choices=Direction)
    provider_message_id = models.CharField(max_length=160, unique=True, null=True, blank=True)
    key = models.CharField(max_length=160, unique=True, null=True, blank=True)
    from_number = models.CharField(max_length=16, blank=True)
    to_number = models.CharField(max_length=16, blank=True)
    message_type = models.CharField(max_length=20, default="text")
    kind = models.CharField(max_length=20, choices=MessageKind, default=MessageKind.GENERIC)
    body = models.TextField(blank=True)
    payload = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=MessageStatus)
    is_processed = models.BooleanField(db_default=False, default=False)
    sends = models.SmallIntegerField(db_default=0, default=0)
    error = models.CharField(max_length=500, blank=True, db_default="", default="")
    order = models.ForeignKey(Order, models.PROTECT, null=True, blank=True, related_name="messages")
    in_reply_to = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="replies"
    )
    created_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "whatsapp_messages"
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    direction=Direction.IN,
                    status__in=INBOUND_STATUSES,
                    key__isnull=True,
                    provider_message_id__isnull=False,
                )
                | Q(
                    direction=Direction.OUT,
                    status__in=LADDER,
                    key__isnull=False,
                    conversation__isnull=False,
                ),
                name="message_direction_shape",
            ),
        ]
        indexes = [
            # 16 conversation
            models.Index(fields=["from_number", "-created_at"], name="message_from_idx"),
            # 17 staff list
            models.Index(fields=["is_processed", "-created_at"], name="message_processed_idx"),
            # staff list filter: a status that changes with every report has no index but this
            models.Index(
                fields=["-id"],
                name="message_failed_idx",
                condition=Q(status=MessageStatus.FAILED),
            ),
            # 18 the sweep that finds unprocessed work
            models.Index(
                fields=["created_at"],
                name="message_unprocessed_idx",
                condition=Q(is_processed=False),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"
