"""Reading the provider's webhook bodies. Pure, and tolerant: whatever has an id is kept, nothing raises.

Meta: entry[] → changes[] → value {metadata, contacts[], messages[], statuses[]}.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MAX_ID = 160
MAX_TEXT = 10_000  # a message has at most 4,096 characters
MAX_DEPTH = 32
_PHONE = re.compile(r"\+?([1-9][0-9]{6,14})")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MEDIA = frozenset({"image", "audio", "video", "document", "sticker", "location", "contacts"})

JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """A message as it came. `choice` is the id of a tapped button; `is_known` says we can answer it."""

    provider_message_id: str
    phone: str
    provider_user_id: str
    to_number: str
    sent_at: datetime | None
    message_type: str
    text: str
    choice: str
    is_known: bool
    payload: JSON


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a message of ours. `callback` is our own key, where the provider returns it."""

    provider_message_id: str
    callback: str
    status: str
    error: str
    payload: JSON


@dataclass(frozen=True)
class Batch:
    messages: tuple[Inbound, ...]
    reports: tuple[Report, ...]


def parse(body: bytes) -> Any:
    """Return the JSON value of a body, without the characters and numbers that PostgreSQL refuses.

    Raises ValueError when it is not JSON, or is nested too deeply to be read.
    """
    try:
        return _clean(json.loads(body, parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _clean(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("\ufffd", k): _clean(v, depth + 1) for k, v in value.items()}
    return value


def read(value: Any) -> Batch:
    """Return every message and report of a cleaned body, each message id once, in its order."""
    messages: dict[str, Inbound] = {}
    reports: list[Report] = []
    for part in _values(value):
        ours = _phone(_dict(part.get("metadata")).get("display_phone_number"))
        for item in _dicts(part.get("messages")):
            if found := _message(item, ours):
                messages.setdefault(found.provider_message_id, found)
        reports += filter(None, map(_report, _dicts(part.get("statuses"))))
    return Batch(tuple(messages.values()), tuple(reports))


def _values(value: Any) -> Iterator[JSON]:
    for entry in _dicts(_dict(value).get("entry")):
        for change in _dicts(entry.get("changes")):
            yield _dict(change.get("value"))


def _message(item: JSON, ours: str) -> Inbound | None:
    if not (message_id := _id(item.get("id"))):
        return None
    kind = _text(item.get("type"))
    text, choice, is_known = _content(kind, _dict(item.get(kind)))
    phone = _phone(item.get("from"))
    user_id = _id(item.get("from_user_id")) or _id(item.get("user_id"))
    return Inbound(
        provider_message_id=message_id,
        phone=phone,
        provider_user_id=user_id,
        to_number=ours,
        sent_at=_time(item.get("timestamp")),
        message_type=kind[:20] or "unknown",
        text=text[:MAX_TEXT],
        choice=choice[:MAX_ID],
        is_known=is_known and bool(phone or user_id),
        payload=item,
    )


def _content(kind: str, content: JSON) -> tuple[str, str, bool]:
    """Return a message's words, the id of the button tapped, and whether the shape is known."""
    if kind == "text":
        return _text(content.get("body")), "", isinstance(content.get("body"), str)
    if kind == "button":
        choice = _text(content.get("payload"))
        return _text(content.get("text")), choice, bool(choice)
    if kind == "interactive":
        reply = _dict(content.get("button_reply")) or _dict(content.get("list_reply"))
        choice = _text(reply.get("id"))
        return _text(reply.get("title")), choice, bool(choice)
    if kind == "order":
        lines = [_catalogue_line(item) for item in _dicts(content.get("product_items"))]
        return "\n".join(lines), "", bool(lines)
    return "", "", kind in _MEDIA


def choice(payload: JSON) -> str:
    """Return the id of the button tapped in a stored message, in small letters; empty without one."""
    kind = _text(payload.get("type"))
    return _content(kind, _dict(payload.get(kind)))[1].strip().lower()


def answered_id(payload: JSON) -> str:
    """Return the provider's id of the message that a stored message answers; empty without one."""
    return _id(_dict(payload.get("context")).get("id"))


def _catalogue_line(item: JSON) -> str:
    return f"{_text(item.get('product_retailer_id'))} x {_text(item.get('quantity'))}"


def _report(item: JSON) -> Report | None:
    message_id, status = _id(item.get("id")), _text(item.get("status"))
    if not message_id or not status:
        return None
    error = next(_dicts(item.get("errors")), {})
    words = f"{_text(error.get('code'))} {_text(error.get('title'))}".strip()
    return Report(
        provider_message_id=message_id,
        callback=_id(item.get("biz_opaque_callback_data")),
        status=status[:20],
        error=words[:500],
        payload={
            "status": status[:20],
            "timestamp": _text(item.get("timestamp"))[:20],
            "error": words[:500],
        },
    )


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> Iterator[JSON]:
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )


def _text(value: Any) -> str:
    """A string as it is, a whole number in digits, else nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else ""
    return value if isinstance(value, str) else ""


def _id(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= MAX_ID else ""


def _phone(value: Any) -> str:
    match = _PHONE.fullmatch(re.sub(r"[\s()-]", "", _text(value)))
    return f"+{match[1]}" if match else ""


def _time(value: Any) -> datetime | None:
    text = _text(value)
    if not re.fullmatch(r"[0-9]{1,11}", text):
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None
