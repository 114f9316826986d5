"""The webhook: Meta's messages are stored before they are answered. No session, no DRF."""

import hmac
import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from khaacho.api.addresses import client_address
from khaacho.api.problems import problem
from khaacho.signatures import is_signed
from whatsapp import payloads, services

rejections = logging.getLogger("khaacho.rejections")
_ANSWERS = {"verify_token": (403, "permission_denied"), "too_large": (413, "content_too_large")}


@csrf_exempt
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest) -> HttpResponse:
    return _verify(request) if request.method == "GET" else _receive(request)


def _verify(request: HttpRequest) -> HttpResponse:
    """Answer Meta's question whether this address is ours: the bare challenge, or 403."""
    token, expected = request.GET.get("hub.verify_token", ""), settings.WHATSAPP_VERIFY_TOKEN
    ours = bool(expected) and hmac.compare_digest(_bytes(token), _bytes(expected))
    if request.GET.get("hub.mode") != "subscribe" or not ours:
        _reject(request, "verify_token")
        return problem(403, "permission_denied", "The verify token is not ours.")
    return HttpResponse(request.GET.get("hub.challenge", ""), content_type="text/plain")


def _receive(request: HttpRequest) -> HttpResponse:
    """Store a signed body and answer 200 once it is committed.

    413 for a body over 3 MB, 401 without a valid signature, 400 for a body that is not JSON. A
    database that fails becomes a 503, so that Meta sends the body again.
    """
    if _declared_length(request) > settings.WHATSAPP_WEBHOOK_MAX_BYTES:
        return _too_large(request)
    body = request.body
    if len(body) > settings.WHATSAPP_WEBHOOK_MAX_BYTES:
        return _too_large(request)
    signature = request.headers.get("X-Hub-Signature-256", "")
    if not is_signed(body, signature, settings.WHATSAPP_APP_SECRETS):
        _reject(request, "signature" if signature else "no_signature")
        challenge = {"WWW-Authenticate": "X-Hub-Signature-256"}
        return problem(401, "signature_invalid", "The body is not signed by us.", headers=challenge)
    try:
        payloads.parse(body)
    except ValueError:
        return problem(400, "invalid", "The body is not JSON.")
    services.store_webhook(body, provider="meta")
    return HttpResponse(status=200)


def _declared_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0


def _too_large(request: HttpRequest) -> HttpResponse:
    _reject(request, "too_large")
    return problem(413, "content_too_large", "A webhook has at most 3 MB.")


def _reject(request: HttpRequest, reason: str) -> None:
    status, code = _ANSWERS.get(reason, (401, "signature_invalid"))
    fields = {"reason": reason, "address": client_address(request), "status": status, "code": code}
    fields |= {"method": request.method, "path": request.path}
    rejections.warning("whatsapp.webhook_rejected", extra=fields)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
