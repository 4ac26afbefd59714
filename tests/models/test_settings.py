"""Settings: every mistake at once, with field and fix, and never a secret."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.issues import SettingsError, mask_url, variable_of
from models.settings import SECRETS, Settings


def mistakes_of(**environ: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.read({variable_of(k): v for k, v in environ.items()})
    return {m.where: f"{m.problem} | {m.fix}" for m in caught.value.issues}


def test_an_empty_mapping_gives_the_documented_defaults() -> None:
    settings = Settings.read({})
    assert settings.brokers == "127.0.0.1:9092"
    assert settings.clickhouse_url == "http://default:@127.0.0.1:8123/receipts"
    assert (settings.retention_days, settings.batch_size, settings.partitions) == (10, 2000, 4)
    assert (settings.worker_host, settings.sink_host) == ("127.0.0.1", "127.0.0.1")
    assert settings.sink_group == "receipts-sink"


def test_texts_become_the_types_of_the_fields() -> None:
    settings = Settings.read(
        {
            "RECEIPTS_RETENTION_DAYS": " 12 ",
            "RECEIPTS_MIGRATE_ON_START": "false",
            "RECEIPTS_COMMIT_INTERVAL_S": "0.25",
            "RECEIPTS_BROKERS": "a:1, [::1]:9092",
            "PATH": "/bin",
        }
    )
    assert settings.retention_days == 12
    assert settings.migrate_on_start is False
    assert settings.commit_interval_s == 0.25
    assert settings.brokers == "a:1,[::1]:9092"


def test_the_process_environment_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIPTS_PARTITIONS", "9")
    assert Settings.read({}).partitions == 4
    assert Settings().partitions == 4


def test_a_settings_object_is_frozen() -> None:
    settings = Settings.read({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.partitions = 5  # type: ignore[misc]


def test_every_mistake_is_reported_at_once_with_its_name_and_fix() -> None:
    found = mistakes_of(
        retention_days="7",
        worker_port="99999",
        log_level="loud",
        brokers="kafka",
        clickhouse_url="postgres://u:hush@h/x",
        migrate_on_start="perhaps",
        alive_s="6",
        sink_port="6066",
        patitions="4",
    )
    assert set(found) == {
        "RECEIPTS_RETENTION_DAYS",
        "RECEIPTS_WORKER_PORT",
        "RECEIPTS_LOG_LEVEL",
        "RECEIPTS_BROKERS",
        "RECEIPTS_CLICKHOUSE_URL",
        "RECEIPTS_MIGRATE_ON_START",
        "RECEIPTS_ALIVE_S",
        "RECEIPTS_SINK_PORT",
        "RECEIPTS_PATITIONS",
    }
    assert "from 8" in found["RECEIPTS_RETENTION_DAYS"]
    assert "'kafka' is not host:port" in found["RECEIPTS_BROKERS"]
    assert "did you mean RECEIPTS_PARTITIONS?" in found["RECEIPTS_PATITIONS"]
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("environ", "variable", "words"),
    [
        ({"commit_interval_s": "10"}, "RECEIPTS_COMMIT_INTERVAL_S", "below the session timeout"),
        ({"session_timeout_s": "60"}, "RECEIPTS_ALIVE_S", "above the session timeout"),
        ({"alive_s": "11", "sink_max_wait_s": "12"}, "RECEIPTS_SINK_MAX_WAIT_S", "idle sink"),
        ({"worker_port": "6067"}, "RECEIPTS_SINK_PORT", "the worker's port"),
        ({"session_timeout_s": "5"}, "RECEIPTS_SESSION_TIMEOUT_S", "Kafka's own minimum"),
        ({"endpoints": "e.toml", "events_days": "3"}, "RECEIPTS_EVENTS_DAYS", "be forgotten"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    environ: dict[str, str], variable: str, words: str
) -> None:
    found = mistakes_of(**environ)
    assert list(found) == [variable]
    assert words in found[variable]


def test_two_free_ports_on_one_address_fit_together() -> None:
    assert Settings(worker_port=0, sink_port=0).sink_port == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/db",
        "http://h:8123",
        "http://h:8123/a/b",
        "http://:8123/db",
        "http://h:0/db",
        "http://h:99999/db",
        "http://h:8123/bad-name",
        "chdb://",
        "chdb:///",
        "chdb://relative",
        "",
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    found = mistakes_of(clickhouse_url=url)
    assert "chdb:///path" in found["RECEIPTS_CLICKHOUSE_URL"]


@pytest.mark.parametrize("url", ["https://u:p@h:8443/db", "http://h/db", "chdb:///var/lib/x"])
def test_a_url_that_can_work_is_kept(url: str) -> None:
    assert Settings.read({"RECEIPTS_CLICKHOUSE_URL": url}).clickhouse_url == url


@pytest.mark.parametrize("password", ["secret", "se:cr@t", "s%40"])
def test_the_password_is_masked_in_every_text(password: str) -> None:
    settings = Settings(clickhouse_url=f"http://writer:{password}@ch:8123/receipts")
    for text in (repr(settings), str(settings), f"{settings}", "%s" % settings):  # noqa: UP031
        assert password not in text
        assert "http://writer:***@ch:8123/receipts" in text


def test_a_password_in_the_query_is_masked() -> None:
    assert mask_url("http://h/db?password=hush&x=1") == "http://h/db?password=***&x=1"


def test_a_wrong_url_with_a_password_is_reported_without_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read({"RECEIPTS_CLICKHOUSE_URL": "http://u:hush@h:8123/x/y"})
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(caught.value)


def test_environ_reads_back_as_the_same_settings() -> None:
    settings = Settings(clickhouse_url="http://u:p@h:1/d", migrate_on_start=False, alive_s=12.5)
    assert Settings.read(settings.environ()) == settings


def test_topics_carry_the_prefix() -> None:
    assert Settings(topic_prefix="eu.").topic("message-states") == "eu.message-states"


def test_every_field_has_a_meaning_and_a_fix() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["fix"], name


def test_models_read_no_environment() -> None:
    source = Path(__file__).parents[2].joinpath("models/settings.py").read_text()
    assert not re.search(r"\b(os\.environ|getenv|import os)\b", source)


def test_tokens_of_the_pages_name_their_accounts() -> None:
    said = {
        "RECEIPTS_PAGES_TOKENS": " acme=" + "a" * 16 + ", beta=" + "b" * 16 + ",acme=" + "c" * 32
    }
    settings = Settings.read(said)
    assert settings.token_accounts == {"a" * 16: "acme", "b" * 16: "beta", "c" * 32: "acme"}
    assert "aaaa" not in repr(settings)


@pytest.mark.parametrize("wrong", ["acme=short", "a" * 20, "=" + "a" * 16, "a/b=" + "a" * 16])
def test_a_wrong_token_is_reported_without_the_token(wrong: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.read({"RECEIPTS_PAGES_TOKENS": "ok=" + "z" * 16 + "," + wrong})
    assert "RECEIPTS_PAGES_TOKENS: entry 2 is not account=token" in str(error.value)
    assert "zzz" not in str(error.value)


def test_the_same_token_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="the same token is given twice"):
        Settings.read({"RECEIPTS_PAGES_TOKENS": "a=" + "z" * 16 + ",b=" + "z" * 16})


def test_reports_read_as_their_own_user_when_there_is_one() -> None:
    shared, own = "http://w:1@h:8123/d", "http://r:2@h:8123/d"
    assert Settings.read({"RECEIPTS_CLICKHOUSE_URL": shared}).reports_url == shared
    said = {"RECEIPTS_CLICKHOUSE_URL": shared, "RECEIPTS_PAGES_CLICKHOUSE_URL": own}
    assert Settings.read(said).reports_url == own


# --- the connection to Kafka --------------------------------------------------------------------

_USER = {"kafka_sasl_username": "me", "kafka_sasl_password": "a-secret"}
_SCRAM = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-512", **_USER}
_TOKEN = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"}


@pytest.mark.parametrize(
    "fields",
    [
        {"kafka_security_protocol": "SSL"},
        {"kafka_security_protocol": "SSL", "kafka_ssl_cafile": "/ca"},
        {"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "/cert"},
        _SCRAM,
        {**_SCRAM, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN"},
        {**_TOKEN, "kafka_oauth_token_file": "/token"},
        {**_TOKEN, "kafka_oauth_token_command": "print-token --for 'me and you'"},
    ],
)
def test_connections_to_kafka_that_fit_together(fields: dict[str, str]) -> None:
    environ = {f"RECEIPTS_{name.upper()}": value for name, value in fields.items()}
    settings = Settings.read(environ)
    assert Settings.read(settings.environ()) == settings
    assert "a-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        ({"kafka_sasl_mechanism": "PLAIN"}, ["SASL_MECHANISM"]),
        (_USER, ["SASL_USERNAME", "SASL_PASSWORD"]),
        ({"kafka_security_protocol": "SSL", **_USER}, ["SASL_USERNAME", "SASL_PASSWORD"]),
        ({"kafka_security_protocol": "SASL_SSL", **_USER}, ["SASL_MECHANISM"]),
        ({**_SCRAM, "kafka_sasl_username": ""}, ["SASL_USERNAME"]),
        ({**_SCRAM, "kafka_sasl_password": ""}, ["SASL_PASSWORD"]),
        ({"kafka_ssl_cafile": "/ca"}, ["SSL_CAFILE"]),
        (
            {**_SCRAM, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ssl_cafile": "/ca"},
            ["SSL_CAFILE"],
        ),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_keyfile": "/key"}, ["SSL_KEYFILE"]),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_key_password": "x"}, ["SSL_KEY_PASSWORD"]),
        (_TOKEN, ["OAUTH_TOKEN_FILE"]),
        ({**_TOKEN, "kafka_oauth_token_command": " "}, ["OAUTH_TOKEN_FILE"]),
        (
            {**_TOKEN, "kafka_oauth_token_file": "/t", "kafka_oauth_token_command": "c"},
            ["OAUTH_TOKEN_FILE"],
        ),
        ({**_TOKEN, "kafka_oauth_token_file": "/t", **_USER}, ["SASL_USERNAME", "SASL_PASSWORD"]),
        ({**_SCRAM, "kafka_oauth_token_command": "c"}, ["OAUTH_TOKEN_COMMAND"]),
        (
            {**_TOKEN, "kafka_oauth_token_command": "'open"},
            ["OAUTH_TOKEN_COMMAND", "OAUTH_TOKEN_FILE"],
        ),
        ({"kafka_security_protocol": "TLS"}, ["SECURITY_PROTOCOL"]),
        ({"kafka_sasl_mechanism": "GSSAPI"}, ["SASL_MECHANISM"]),
    ],
)
def test_mistakes_about_kafka_are_named_at_once_with_the_fix(
    fields: dict[str, str], variables: list[str]
) -> None:
    environ = {f"RECEIPTS_{name.upper()}": value for name, value in fields.items()}
    with pytest.raises(SettingsError) as raised:
        Settings.read(environ)
    assert [issue.where for issue in raised.value.issues] == [
        f"RECEIPTS_KAFKA_{name}" for name in variables
    ]
    assert all(issue.fix for issue in raised.value.issues)
    useless = [each for each in raised.value.issues if "has no effect" in each.problem]
    assert all("remove it" in each.fix for each in useless)
    assert "a-secret" not in str(raised.value)


def test_a_secret_is_in_no_text_of_the_settings_and_of_their_mistakes() -> None:
    hush = "hush-hush-hush-hush"
    for field in SECRETS:
        with pytest.raises(SettingsError) as caught:
            Settings.read({variable_of(field): f"{hush} {hush}"})
        assert hush not in str(caught.value) and hush not in repr(caught.value), field
    url = f"https://writer:{hush}@h:8443/d"
    settings = Settings(
        clickhouse_url=url,
        pages_clickhouse_url=url,
        pages_tokens=f"acme={hush}",
        monitoring_token=hush,
    )
    assert hush not in repr(settings) and hush not in str(settings)
    assert settings.secret_words == {hush}


def test_a_password_is_a_secret_word_as_written_and_as_meant_unless_it_is_a_name() -> None:
    assert Settings(clickhouse_url="http://w:a%2Fb@h/d").secret_words == {"a%2Fb", "a/b"}
    assert Settings(clickhouse_url="http://receipts:receipts@h/receipts").secret_words == set()
    assert Settings(clickhouse_url="http://w:receipts@h/d").secret_words == set()


@pytest.mark.parametrize("token", ["tiny", "a" * 201, "has spaces in its middle"])
def test_a_token_that_is_too_weak_is_refused_without_it(token: str) -> None:
    found = mistakes_of(monitoring_token=token)
    assert "token_urlsafe" in found["RECEIPTS_MONITORING_TOKEN"]
    assert token not in str(found)


@pytest.mark.parametrize("server", ["monitoring", "pages"])
def test_a_certificate_needs_its_key_and_the_reverse(server: str) -> None:
    for given, missing in (("certfile", "keyfile"), ("keyfile", "certfile")):
        found = mistakes_of(**{f"{server}_{given}": "/x.pem"})
        assert list(found) == [variable_of(f"{server}_{missing}")]


def test_certificates_for_a_clickhouse_without_tls_are_a_mistake() -> None:
    found = mistakes_of(clickhouse_cafile="/ca.pem")
    assert "has no TLS" in found["RECEIPTS_CLICKHOUSE_CAFILE"]
    assert Settings(clickhouse_url="https://u:p@h/d", clickhouse_cafile="/ca.pem").sink_url


@pytest.mark.parametrize("field", ["clickhouse_url", "pages_clickhouse_url"])
@pytest.mark.parametrize("value", ["false", "0", "no"])
def test_the_certificate_of_clickhouse_is_always_checked(field: str, value: str) -> None:
    (text,) = mistakes_of(**{field: f"https://u:hush@h/d?verify={value}"}).values()
    assert "would not be checked" in text and "RECEIPTS_CLICKHOUSE_CAFILE" in text
    assert "hush" not in text


def test_tls_settings_become_arguments_of_the_url() -> None:
    tls = {
        "clickhouse_cafile": "/ca.pem",
        "clickhouse_certfile": "/c.pem",
        "clickhouse_keyfile": "/k.pem",
    }
    with_password = Settings(clickhouse_url="https://u:p@h:8443/d?verify=true", **tls)
    assert with_password.sink_url == (
        "https://u:p@h:8443/d?verify=true&ca_cert=%2Fca.pem&client_cert=%2Fc.pem"
        "&client_cert_key=%2Fk.pem&tls_mode=strict"
    )
    assert "tls_mode" not in Settings(clickhouse_url="https://u@h/d", **tls).reports_url
    plain = Settings(clickhouse_url="https://u:p@h/d", pages_clickhouse_url="http://r:p@h/d", **tls)
    assert plain.reports_url == "http://r:p@h/d"


def test_a_wrong_protocol_is_one_mistake() -> None:
    given = {
        "RECEIPTS_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "RECEIPTS_KAFKA_SASL_MECHANISM": "PLAIN",
        "RECEIPTS_KAFKA_SASL_USERNAME": "worker",
        "RECEIPTS_KAFKA_SASL_PASSWORD": "hush",
        "RECEIPTS_KAFKA_SSL_CAFILE": "ca.pem",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.read(given)
    assert [issue.where for issue in caught.value.issues] == ["RECEIPTS_KAFKA_SECURITY_PROTOCOL"]
