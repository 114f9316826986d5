"""Signing in to the admin: by phone, guesses slowed down as they are for the API."""

import logging
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm

from khaacho import sign_ins
from khaacho.api.addresses import client_address
from khaacho.phones import normalise_phone

rejections = logging.getLogger("khaacho.rejections")
TYPED_MAX = 64


class PhoneSignIn(AdminAuthenticationForm):
    """Takes a phone with or without the country; anything else is tried as it is, and counted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        phone = self.fields["username"]
        phone.max_length = TYPED_MAX  # type: ignore[attr-defined] # a CharField
        phone.widget.attrs |= {"inputmode": "tel", "maxlength": TYPED_MAX}

    def clean_username(self) -> str:
        typed: str = self.cleaned_data["username"]
        return normalise_phone(typed) or typed[:TYPED_MAX]

    def clean(self) -> dict[str, Any]:
        phone = self.cleaned_data.get("username")
        if phone is None or self.request is None:
            return super().clean()
        try:
            sign_ins.record_attempt(phone=phone, address=client_address(self.request))
        except sign_ins.TooManyFailures as error:
            self._log_refusal(error.code)
            raise forms.ValidationError(
                f"Too many failed attempts; try again in {error.retry_after} seconds."
            ) from error
        try:
            cleaned = super().clean()
        except forms.ValidationError:
            self._log_refusal("sign_in_refused")
            raise
        sign_ins.forget(phone=phone)
        return cleaned

    def _log_refusal(self, code: str) -> None:
        fields = {"code": code, "path": self.request.path if self.request else ""}
        rejections.info("request.rejected", extra=fields)
