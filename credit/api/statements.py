"""A statement's period and form: what is asked for, and the answer as CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from credit.selectors import Statement
from khaacho.api.renderers import JSONRenderer
from khaacho.api.serializers import QueryIdField, Serializer
from khaacho.exceptions import Invalid
from khaacho.spreadsheets import neutral

MAX_DAYS = 366
DEFAULT_DAYS = 30
# Entries that are answered at once, by form; a longer statement is a report, made in the background.
MOST_ENTRIES = {"json": 10_000, "csv": 10_000, "pdf": 500}
HEADER = ("date", "entry_number", "type", "reference", "vendor", "due_date", "amount", "balance")


class StatementQuerySerializer(Serializer):
    """`from` and `to` are days of Kathmandu, both included; without them the last 30 days."""

    retailer_id = QueryIdField(required=False)
    vendor_id = QueryIdField(required=False)

    def get_fields(self) -> Any:
        period = {
            "from": serializers.DateField(required=False, help_text="default: 30 days before `to`"),
            "to": serializers.DateField(required=False, help_text="default: today"),
        }
        return {**super().get_fields(), **period}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        end: date = attrs.pop("to", None) or timezone.localdate()
        if end.year >= date.max.year:
            raise serializers.ValidationError({"to": ["This day is out of range."]})
        start = attrs.pop("from", None) or _before(end)
        if start > end:
            raise serializers.ValidationError({"from": ["The first day is after the last."]})
        if (end - start).days > MAX_DAYS:
            raise serializers.ValidationError({"from": [f"At most {MAX_DAYS} days at once."]})
        return {**attrs, "start": start, "end": end}


def _before(end: date) -> date:
    return max(end, date.min + timedelta(days=DEFAULT_DAYS + 1)) - timedelta(days=DEFAULT_DAYS)


class CSVRenderer(BaseRenderer):
    """Names text/csv to content negotiation; `as_csv` writes."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class ByFormat(DefaultContentNegotiation):
    """`?format=` decides, else the Accept header. Raises Invalid for an unknown format."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        wanted = request.query_params.get("format")
        if not wanted:
            return super().select_renderer(request, renderers, format_suffix)
        for renderer in renderers:
            if renderer.format == wanted:
                return renderer, renderer.media_type
        raise Invalid(errors={"format": ["One of json, csv, pdf."]})


class PDFRenderer(BaseRenderer):
    """Names application/pdf to content negotiation; `credit.statement_sheet` draws."""

    media_type = "application/pdf"
    format = "pdf"
    charset = None
    render_style = "binary"


RENDERERS = [JSONRenderer, CSVRenderer, PDFRenderer]


def as_csv(statement: Statement) -> HttpResponse:
    """Return the statement as a file for spreadsheets: a byte order mark, and no live formulas."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows(_rows(statement))
    return HttpResponse(
        out.getvalue().encode("utf-8-sig"),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{_name(statement)}.csv"'},
    )


def as_pdf(statement: Statement) -> HttpResponse:
    """Return the statement on paper, to be shown and not kept."""
    headers = {
        "Content-Disposition": f'inline; filename="{_name(statement)}.pdf"',
        "Cache-Control": "private, no-store",
    }
    # What draws costs a process half a second and 30 MB, and most never draw.
    from credit.statement_sheet import draw  # noqa: PLC0415

    return HttpResponse(
        draw(statement, timezone.now()),
        content_type=PDFRenderer.media_type,
        headers=headers,
    )


def _name(statement: Statement) -> str:
    return f"statement-{statement.retailer.code}-{statement.start}-{statement.end}"


def _rows(statement: Statement) -> list[Sequence[object]]:
    entries: list[Any] = list(statement.entries)
    blank = ("",) * 5
    return [
        HEADER,
        (statement.start, "", "OPENING_BALANCE", "", *blank[:3], statement.opening_balance),
        *(
            (
                timezone.localtime(entry.created_at).date(),
                entry.entry_number,
                entry.transaction_type,
                neutral(entry.reference),
                neutral(entry.vendor.business_name),
                entry.due_date or "",
                entry.amount,
                entry.balance,
            )
            for entry in entries
        ),
        (statement.end, "", "CLOSING_BALANCE", "", *blank[:3], statement.closing_balance),
    ]
