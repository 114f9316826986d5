"""The two things every request needs: an id, and an answer in the API's form whatever went wrong."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from khaacho import logs
from khaacho.api.problems import problem

Handler = Callable[[HttpRequest], HttpResponseBase]
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(get_response: Handler) -> Handler:
    """Take X-Request-ID when it is harmless, else make one; answer with it and log with it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        value = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        token = logs.request_id.set(value)
        try:
            response = get_response(request)
        finally:
            logs.request_id.reset(token)
        response["X-Request-ID"] = value
        return response

    return middleware


def api_errors(get_response: Handler) -> Handler:
    """Turn Django's own HTML answers on API paths (404, 400, 413 …) into problem documents."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if (
            request.path.startswith("/api/")
            and response.status_code >= 400
            and isinstance(response, HttpResponse)
            and response.headers.get("Content-Type", "").startswith("text/html")
        ):
            return problem(response.status_code)
        return response

    return middleware
