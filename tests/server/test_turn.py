"""Credentials as coturn reckons them, and the headers of RFC 9725 that carry them."""

from datetime import UTC, datetime

from server.turn import ice_server_links

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_credentials_end_in_six_hours_and_are_a_persons_own() -> None:
    # The credential: printf 1795543200:l_x | openssl dgst -sha1 -hmac secret -binary | base64
    assert ice_server_links(["turn:relay.example:443?transport=tcp"], "secret", "l_x", NOW) == [
        '<turn:relay.example:443?transport=tcp>; rel="ice-server"; username="1795543200:l_x"; '
        'credential="n/0B66QRywd+vZmZ9EUmsK9WD6Y="; credential-type="password"'
    ]


def test_a_stun_server_gets_no_credentials() -> None:
    links = ice_server_links(["stun:relay.example", "turns:relay.example"], "secret", "l_x", NOW)
    assert links[0] == '<stun:relay.example>; rel="ice-server"'
    assert "username" in links[1]
    assert ice_server_links([], None, "l_x", NOW) == []
