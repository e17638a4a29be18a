"""Settings: right values are typed, wrong ones are named."""

from pathlib import Path

import pytest

from server.errors import MalformedSetting
from server.settings import read_settings
from tests.authority import make_authority

KEY = {"PROOFCALL_API_KEY": "0123456789abcdef"}


def test_defaults_bind_loopback_and_the_ports_of_the_readme() -> None:
    settings = read_settings(KEY)
    assert (settings.http_host, settings.http_port, settings.udp_port) == ("127.0.0.1", 8080, 8443)
    assert settings.bound_to(8080).public_url == "http://127.0.0.1:8080"
    assert settings.data_dir == Path("data")


def test_candidates_are_host_and_port_with_ipv6_in_brackets() -> None:
    settings = read_settings(KEY | {"PROOFCALL_ANNOUNCE": "203.0.113.7:8443, [2001:db8::1]:9000"})
    assert settings.announce == (("203.0.113.7", 8443), ("2001:db8::1", 9000))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PROOFCALL_HTTP_PORT", "eighty", "a port is a number"),
        ("PROOFCALL_UDP_PORT", "65536", "a port is a number"),
        ("PROOFCALL_ANNOUNCE", "203.0.113.7", "is not host:port"),
        ("PROOFCALL_TURN_URLS", "turn:a>b", "is not turn:host:port"),
        ("PROOFCALL_TURN_URLS", "http://relay.example", "is not turn:host:port"),
        ("PROOFCALL_PUBLIC_URL", "proof.example", "begins with http"),
        ("PROOFCALL_API_KEY", "short", "16 characters"),
        ("PROOFCALL_LOG_ORIGIN", "two words", "no spaces"),
        ("PROOFCALL_TLS_KEY", "/nowhere", "no such file"),
        ("PROOFCALL_WEBHOOK_INTERNAL_HOSTS", "http://erp.lan/", "is not host or host:port"),
        ("PROOFCALL_WEBHOOK_INTERNAL_HOSTS", "erp.lan:70000", "a port is a number"),
        ("PROOFCALL_TIMESTAMP_URLS", "freetsa.example", "is not http://host/path"),
        ("PROOFCALL_TIMESTAMP_URLS", "https://me:secret@tsa.example/", "without a user"),
        ("PROOFCALL_TIMESTAMP_ROOTS", "/nowhere", "no such file"),
        ("PROOFCALL_TIMESTAMP_ROOTS", __file__, "no certificate in PEM"),
        ("PROOFCALL_TIMESTAMP_INTERVAL_S", "0", "seconds from 1"),
        ("PROOFCALL_RETENTION", "frames=1w", "is none of recordings=90d"),
        ("PROOFCALL_RETENTION_MODE", "yes", "write dry_run or erase"),
        ("PROOFCALL_HTTP_PROT", "8080", "is not a setting"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wrong_about_it(name: str, value: str, said: str) -> None:
    with pytest.raises(MalformedSetting, match=f"{name}.*{said}"):
        read_settings(KEY | {name: value})


def test_without_an_api_key_only_the_sample_starts() -> None:
    with pytest.raises(MalformedSetting, match="PROOFCALL_API_KEY is not set"):
        read_settings({})
    assert read_settings({}, sample_api_key="made up for this run").api_key == "made up for this run"


def test_a_turn_server_wants_its_secret_and_a_stun_server_none() -> None:
    urls = "turn:relay.example:443?transport=tcp, stun:[2001:db8::1]:3478"
    with pytest.raises(MalformedSetting, match="PROOFCALL_TURN_SECRET is not set"):
        read_settings(KEY | {"PROOFCALL_TURN_URLS": urls})
    settings = read_settings(KEY | {"PROOFCALL_TURN_URLS": urls, "PROOFCALL_TURN_SECRET": "shared"})
    assert settings.turn_urls == ("turn:relay.example:443?transport=tcp", "stun:[2001:db8::1]:3478")
    assert read_settings(KEY | {"PROOFCALL_TURN_URLS": "stun:relay.example"}).turn_secret is None


def test_authorities_are_read_with_the_roots_by_which_their_tokens_are_checked(tmp_path: Path) -> None:
    urls = "https://tsa.example/tsr?p=1, http://[2001:db8::1]:318,https://tsa.example/tsr?p=1"
    with pytest.raises(MalformedSetting, match="PROOFCALL_TIMESTAMP_ROOTS is not set"):
        read_settings(KEY | {"PROOFCALL_TIMESTAMP_URLS": urls})
    one, two = make_authority(tmp_path / "one"), make_authority(tmp_path / "two")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(b"# of both\n" + one.root + two.root)
    settings = read_settings(
        KEY | {"PROOFCALL_TIMESTAMP_URLS": urls, "PROOFCALL_TIMESTAMP_ROOTS": str(roots)}
    )
    assert settings.timestamp_urls == ("https://tsa.example/tsr?p=1", "http://[2001:db8::1]:318")
    assert set(settings.timestamp_roots) == {one.root, two.root}
    assert settings.timestamp_interval_s == 600


def test_hosts_that_webhooks_may_reach_inside_are_names_and_addresses_with_or_without_a_port() -> None:
    hosts = "ERP.lan, 10.0.0.7:8080,[fd00::7]:443, [::1]"
    read = read_settings(KEY | {"PROOFCALL_WEBHOOK_INTERNAL_HOSTS": hosts})
    assert read.webhook_internal_hosts == (
        ("erp.lan", None),
        ("10.0.0.7", 8080),
        ("fd00::7", 443),
        ("::1", None),
    )
