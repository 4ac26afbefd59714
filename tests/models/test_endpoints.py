"""The file of endpoints: every mistake is found at once, and names its key and a fix."""

import pytest

from models.endpoints import BadEndpoints, read_endpoints

GOOD = """
public_url = "https://receipts.example.com/in/"

[endpoints.twilio-eu]
provider = "Twilio"
account = "acme"
secrets = ["env:TOKEN", "file:/run/secrets/next"]

[endpoints.smsc-1]
provider = "smpp"
account = "acme"
unverified = true
ids = ["zeroes", "case"]
zone = "Europe/London"
codes = "gsm-map"
public_url = "http://10.0.0.1:8090"

[endpoints.clickatell]
provider = "clickatell"
account = "acme"
verify = "path"
secrets = ["env:TOKEN"]
statuses = { 4 = "delivered" }

[endpoints.sns]
provider = "aws"
account = "acme"
topic_arns = ["arn:aws:sns:eu-west-1:123456789012:receipts"]
confirm_subscriptions = true
"""


def test_a_good_file() -> None:
    endpoints = read_endpoints(GOOD).endpoints
    assert {name: endpoint.way for name, endpoint in endpoints.items()} == {
        "twilio-eu": "twilio",
        "smsc-1": "none",
        "clickatell": "path",
        "sns": "sns",
    }
    assert endpoints["twilio-eu"].public_url == "https://receipts.example.com/in"
    assert endpoints["smsc-1"].options.codes == "gsm-map"
    assert endpoints["clickatell"].options.statuses == {"4": "delivered"}


@pytest.mark.parametrize(
    ("keys", "key", "fix"),
    [
        ('provider = "nobody"', "provider", "one of africastalking, aws"),
        ('account = "a/b"', "account", "pattern"),
        ('zone = "London"', "zone", "IANA"),
        ('codes = "nowhere"', "codes", "receipts codes"),
        ('secrets = ["abc123"]', "secrets.0", "env:VARIABLE"),
        ("secrets = []", "", "secrets = ['env:VARIABLE']"),
        ('verify = "magic"', "verify", "one of twilio"),
        ('verify = "sns"', "", "topic_arns"),
        ('verify = "hmac"', "", "header"),
        ("unverified = true", "", "remove one of them"),
        ('allow_ips = ["10.0.0.0/99"]', "allow_ips.0", "address or network"),
        ('statuses = { x = "done" }', "statuses.x", "delivered"),
        ('ids = ["upper"]', "ids.0", "hex-sent"),
        ('public_url = "receipts.example.com"', "public_url", "https://host"),
        ('colour = "red"', "colour", "one of provider"),
        ("window_s = 1", "window_s", "10"),
        ('topic_arns = ["arn:aws:s3:::x"]', "topic_arns.0", "arn:aws:sns:REGION"),
    ],
)
def test_a_mistake(keys: str, key: str, fix: str) -> None:
    lines = {
        "provider": 'provider = "twilio"',
        "account": 'account = "acme"',
        "secrets": 'secrets = ["env:TOKEN"]',
        "public_url": 'public_url = "https://h.example"',
    }
    lines[keys.partition(" ")[0]] = keys
    with pytest.raises(BadEndpoints) as raised:
        read_endpoints("[endpoints.one]\n" + "\n".join(lines.values()))
    (problem,) = raised.value.problems
    assert problem.startswith(f"endpoints.one.{key}" if key else "endpoints.one:")
    assert fix in problem


def test_an_endpoint_with_the_name_of_another_provider() -> None:
    text = '[endpoints.NAME]\nprovider = "vonage"\naccount = "a"\nsecrets = ["env:T"]\n'
    text = 'public_url = "https://h.example"\n' + text
    for name in ("twilio", "meta"):
        with pytest.raises(BadEndpoints, match="Fix: another name"):
            read_endpoints(text.replace("NAME", name))
    for name in ("vonage", "nexmo", "twilio-eu"):
        assert read_endpoints(text.replace("NAME", name)).endpoints


def test_nothing_proves_who_calls() -> None:
    text = '[endpoints.k]\nprovider = "kannel"\naccount = "a"\npublic_url = "http://h.example"\n'
    with pytest.raises(BadEndpoints, match="unverified = true"):
        read_endpoints(text)
    assert read_endpoints(text + "unverified = true").endpoints["k"].way == "none"


def test_all_mistakes_at_once() -> None:
    text = """
    [endpoints.One]
    provider = "twilio"
    account = "acme"
    secrets = ["env:TOKEN"]

    [endpoints.two]
    provider = "nobody"
    account = ""

    [endpoints.three]
    provider = "smpp"
    account = "acme"
    public_url = "http://h.example"
    unverified = true

    [endpoints.four]
    provider = "smpp"
    account = "acme"
    public_url = "http://h.example"
    unverified = true
    ids = ["case"]
    """
    with pytest.raises(BadEndpoints) as raised:
        read_endpoints(text)
    named = [problem.partition(": ")[0] for problem in raised.value.problems]
    assert named == [
        "endpoints.One",
        "endpoints.One.public_url",
        "endpoints.two.provider",
        "endpoints.two.account",
        "endpoints.four.ids",
    ]


def test_a_file_that_is_not_toml() -> None:
    with pytest.raises(BadEndpoints, match="not TOML"):
        read_endpoints("[endpoints")
