"""Numbers are read as people write them, and all spellings of one are one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
)

from models.numbers import (
    is_person,
    person_from,
    person_of,
    read_number,
    spellings_of,
    without_separators,
)

LONDON = "+447521191830"


@pytest.mark.parametrize(
    "written",
    [
        "+447521191830",
        "447521191830",
        "00447521191830",
        "+44 (0)7521-191830",
        "+44 ( 0 ) 7521 191830",
        "0044 (0) 7521 191830",
        "44 (0)7521 191830",
        "(+44) 7521.191830",
        "+44 7521/191830",
        "+44[7521]191830",
        " +44 7521 191830\t",
        "tel:+44-7521-191830",
        "sms:+447521191830",
        "whatsapp:+447521191830",
        "WhatsApp:447521191830",
        "\uff0b\uff14\uff147521191830",
        "+44\u00a07521\u2009191830",
        "+44\u20117521\u2013191830",
        "\u202a+447521191830\u202c",
        "\u200e+44 7521 191830\ufeff",
        "\u0664\u0664\u0667\u0665\u0662\u0661\u0661\u0669\u0661\u0668\u0663\u0660",
    ],
)
def test_one_number_as_people_write_it(written):
    assert read_number(written) == LONDON


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+1 (500) 555-0125", "+15005550125"),
        ("1-500-555-0125", "+15005550125"),
        ("+49 (0) 151 23456789", "+4915123456789"),
        ("+39 (0)6 1234567", "+39061234567"),  # Italy dials its 0 from abroad
        ("+39 06 1234567", "+39061234567"),
        ("+225 (0)7 07 12 34 56", "+2250707123456"),
        ("5582999448232", "+5582999448232"),
        ("558299448232", "+558299448232"),
        ("5215512345678", "+5215512345678"),
        ("54111523456789", "+54111523456789"),
        ("+12345", "+12345"),
        ("+123456789012345", "+123456789012345"),
    ],
)
def test_numbers_of_many_countries(written, number):
    assert read_number(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "+",
        "07521191830",
        "7521191830",
        "9876543210",
        "68849",
        "1234567",
        "+1234",
        "+1234567890123456",
        "+0447521191830",
        "0000447521191830",
        "++447521191830",
        "44+7521191830",
        "+44x7521191830",
        "447521191830 ext 3",
        "447521191830, 447521191831",
        "SUPPORT",
        "US.13491208655302741918",
        "999123456789",
        "\u00b244752119183",
        "tel:",
        "+44 (0)",
    ],
)
def test_what_is_no_number_with_a_country_code(written):
    assert read_number(written) is None


def test_a_person_as_people_write_it():
    assert person_from("44 (0)7521 191830") == LONDON
    assert person_from("US.13491208655302741918") == "US.13491208655302741918"
    assert person_from("SUPPORT") is None


def test_part_of_a_number_without_what_is_between_its_digits():
    assert without_separators(" (0)7521-19 18.30") == "7521191830"
    assert without_separators("19\u201118") == "1918"
    assert without_separators("sup port") == "support"


@given(st.text(max_size=40))
def test_whatever_is_read_is_a_number_in_e164(text):
    number = read_number(text)
    assert number is None or (number.startswith("+") and is_person(number))
    assert number is None or read_number(number) == number


EXAMPLES = [
    example
    for region in sorted(SUPPORTED_REGIONS)
    if (example := example_number_for_type(region, PhoneNumberType.MOBILE)) is not None
]
SPELLED = st.sampled_from(
    [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966]
)


@given(st.sampled_from(EXAMPLES), SPELLED, st.sampled_from(["", "+", "00"]))
def test_a_mobile_number_of_every_country_is_read_in_every_format(example, style, prefix):
    e164 = format_number(example, PhoneNumberFormat.E164)
    written = format_number(example, style)
    if not prefix and len(e164) < 9:
        assert read_number(e164[1:]) is None  # too short to be told from a short code
        return
    scheme, _, plain = written.rpartition("+")
    assert read_number(f"{scheme}{prefix}{plain}") == e164


# --- persons --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spellings",
    [
        ("+5582999448232", "+558299448232"),
        ("+5511998765432", "+551198765432"),
        ("+525512345678", "+5215512345678"),
        ("+5491123456789", "+541123456789", "+54111523456789"),
        ("+5493435551234", "+543435551234", "+54343155551234"),
        ("+5492966412345", "+542966412345", "+54296615412345"),
    ],
)
def test_all_spellings_are_one_person(spellings):
    assert {person_of(spelling) for spelling in spellings} == {spellings[0]}
    for spelling in spellings:
        assert spellings_of(spelling) == spellings[:2]


@pytest.mark.parametrize(
    "recipient",
    [
        "+551132345678",  # a landline of São Paulo
        "+5508001234567",
        "+5511912345678",  # a number that never had eight digits
        "+52155123456789",
        "+5211234567890",
        "+548001234567",
        "+5411234567890123",
        "+447521191830",
        "+15005550125",
        "+5",
        "+55",
        "US.13491208655302741918",
        "SUPPORT",
        "68849",
        "",
    ],
)
def test_everything_else_is_its_own_person(recipient):
    assert person_of(recipient) == recipient


def test_a_number_with_one_spelling():
    assert spellings_of(LONDON) == (LONDON,)
    assert spellings_of("+551132345678") == ("+551132345678",)
    assert spellings_of("US.1349") == ("US.1349",)


NUMBERS = st.builds(
    lambda country, rest: f"+{country}{rest}",
    st.sampled_from(["55", "52", "521", "54", "549", "5411", "5511", "5411 15", "44", "1"]),
    st.text("0123456789", min_size=4, max_size=11),
).map(lambda number: number.replace(" ", ""))


@given(NUMBERS)
def test_a_person_is_its_own_person_and_every_spelling_is_it(number):
    person = person_of(number)
    assert person_of(person) == person
    assert spellings_of(number)[0] == person
    assert len(set(spellings_of(number))) == len(spellings_of(number))
    for spelling in spellings_of(number):
        assert person_of(spelling) == person
        assert spellings_of(spelling) == spellings_of(number)
        assert read_number(spelling) is None or person_of(read_number(spelling)) == person


@given(st.sampled_from(["55", "52", "54"]), st.integers(10**7, 10**11))
def test_different_persons_share_no_spelling(country, rest):
    one, other = f"+{country}{rest}", f"+{country}{rest + 1}"
    if person_of(one) != person_of(other):
        assert not set(spellings_of(one)) & set(spellings_of(other))


@pytest.mark.parametrize(
    ("recipient", "person"),
    [
        ("+447521191830", True),
        ("+12345", True),
        ("US.13491208655302741918", True),
        ("US.ENT.11815799212886844830", True),
        ("DE." + "a" * 128, True),
        ("DE." + "a" * 129, False),
        ("us.1", False),
        ("US.", False),
        ("US.1.2", False),
        ("+1234", False),
        ("447521191830", False),
        ("+447521191830\n", False),
        ("68849", False),
        ("SUPPORT", False),
        ("", False),
    ],
)
def test_strikes_and_suppressions_are_about_numbers_and_user_ids(recipient, person):
    assert is_person(recipient) is person


@pytest.mark.parametrize("between", ["\n", "\r\n", "\v", "\u2028", "\x1f"])
def test_two_lines_are_not_one_number(between: str) -> None:
    assert read_number(f"+44770090{between}0123") is None
    assert read_number(f"+447700900123{between}") == "+447700900123"


def test_a_slash_between_two_numbers_is_none_within_one():
    assert read_number("+447700900123/124") is None
    assert read_number("+49 171/1234567") == "+491711234567"
