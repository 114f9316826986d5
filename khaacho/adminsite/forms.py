"""Form fields that staff fill in before an act."""

from typing import Any

from django import forms
from django.contrib.admin import site
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import ForeignKey

from khaacho.phones import normalise_phone


class NprField(forms.DecimalField):
    """An amount in NPR as people type it: `4,12,300.50`, with or without NPR before it."""

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "max_digits": 14,
            "decimal_places": 2,
            "widget": forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        }
        super().__init__(**{**defaults, **options})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.upper().removeprefix("NPR").replace(",", "").strip()
        return super().to_python(value)


class PhoneField(forms.CharField):
    """A telephone number, stored as E.164; one without a country is Nepal's."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"})
        super().__init__(**{"max_length": 32, "widget": widget, **options})

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if not text:
            return ""
        number = normalise_phone(text)
        if number is None:
            raise forms.ValidationError("This is not a telephone number.")
        return number


class ReasonForm(forms.Form):
    """An act that is remembered with its reason."""

    reason = forms.CharField(
        max_length=300, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


class PlaceForm(forms.Form):
    """Where a shop or wholesaler is."""

    address = forms.CharField(max_length=200, required=False)
    municipality = forms.CharField(max_length=80)
    district = forms.CharField(max_length=40)
    province = forms.CharField(max_length=40)


def pan_field() -> forms.RegexField:
    """Return the field of a PAN or VAT number: nine digits, or none."""
    return forms.RegexField(
        r"^[0-9]{9}$",
        label="PAN/VAT number",
        required=False,
        error_messages={"invalid": "A PAN or VAT number has nine digits."},
    )


def chooser(model: Any, field: str, **options: Any) -> "forms.ModelChoiceField[Any]":
    """Return a choice of the record that `model.field` refers to, searched for as one types."""
    reference = model._meta.get_field(field)
    assert isinstance(reference, ForeignKey)
    return forms.ModelChoiceField(
        queryset=reference.remote_field.model._default_manager.all(),
        widget=AutocompleteSelect(reference, site),
        **options,
    )
