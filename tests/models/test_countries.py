"""The country of a recipient."""

import pytest

from models.countries import country_of


@pytest.mark.parametrize(
    ("recipient", "country"),
    [
        ("+447700900123", "GB"),
        ("+46701234567", "SE"),
        ("+15005550125", "US"),
        ("+441534123456", "JE"),
        ("+77011234567", "KZ"),
        ("+5582999448232", "BR"),
        ("+558299448232", "BR"),
        ("+870123456789", ""),
        ("US.13491208655302741918", "US"),
        ("BR.1393", "BR"),
        ("DE.ENT.1181", "DE"),
        ("68849", ""),
        ("SUPPORT", ""),
        ("U.S. BANK", ""),
        ("+123", "US"),
        ("+", ""),
        ("", ""),
    ],
)
def test_a_recipient_has_the_country_of_its_code_or_its_letters(recipient, country):
    assert country_of(recipient) == country
