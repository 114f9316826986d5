"""Signing in to the admin: by phone, guesses slowed down as they are for the API."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm

from khaacho import sign_ins
from khaacho.api.addresses import client_address
from khaacho.phones import normalise_phone

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
            raise forms.ValidationError(
                f"Too many failed attempts; try again in {error.retry_after} seconds."
            ) from error
        cleaned = super().clean()
        sign_ins.forget(phone=phone)
        return cleaned
