"""A report's file on its way to a person, for the API and the admin alike."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, quote_etag

from khaacho.actors import Actor
from monitoring import services
from monitoring.reports import files
from monitoring.reports.writers import CONTENT_TYPES


def respond(request: HttpRequest, report_id: int, actor: Actor) -> HttpResponseBase:
    """Answer with a report's file, piece by piece, or 304 to who has it. Raises as `services.take_out`."""
    report = services.take_out(report_id=report_id, actor=actor)
    etag = quote_etag(report.sha256)
    unchanged = get_conditional_response(request, etag=etag)
    response: HttpResponseBase
    if unchanged is not None:
        response = HttpResponse(status=304)
    else:
        response = StreamingHttpResponse(
            files.chunks(report_id), content_type=CONTENT_TYPES[report.format]
        )
        response["Content-Length"] = str(report.size)
        named = content_disposition_header(as_attachment=True, filename=report.file_name)
        response["Content-Disposition"] = named or "attachment"
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    return response
