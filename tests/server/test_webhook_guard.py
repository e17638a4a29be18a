"""What a webhook may reach, and that it connects to nothing else."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ForbiddenTarget, MalformedRequest, MalformedTarget
from server.webhook_guard import (
    MAX_LOOKUPS,
    GuardedResolver,
    Names,
    Target,
    check_address,
    check_name,
    guarded_session,
    parse_target,
)


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    names = Names()
    yield names
    names.close()


FORBIDDEN_ADDRESSES = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
PUBLIC_ADDRESSES = (
    "8.8.8.8",
    "93.184.216.34",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2400:3200::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
)

GOOD = (
    "https://example.com",
    "https://example.com/hooks?token=a%20b&x=y",
    "https://example.com:8443/hooks",
    "https://8.8.8.8/hooks",
    "https://[2606:4700:4700::1111]/hooks",
    "https://xn--fiqs8s.cn/hooks",
    "https://a_b.example.com/~me/(hook)",
)
MALFORMED = (
    "",
    "example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "https:///path",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com#@127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://example.com\\.evil.com/",
    "https://example.com/ hooks",
    "https://example.com/\r\nHost: internal",
    "https://example.com/#fragment",
    "https://例子.cn/",
    "https://１２７.0.0.1/",
    "https://ex%61mple.com/",
    "https://example.com./",
    "https://a..b/",
    "https://-a.com/",
    "https://example.com:/",
    "https://example.com:0/",
    "https://example.com:70000/",
    "https://example.com:443:443/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.0x1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://[127.0.0.1]/",
    "https://[::1%25eth0]/",
    "https://[::g]/",
    "https://[:::]/",
    "https://::1/",
    "HTTPS://EXAMPLE.COM/",
    "https://example.com/" + "a" * 2000,
)
FORBIDDEN = (
    "http://example.com/",
    "https://example.com:80/",
    "https://example.com:22/",
    "https://example.com:6379/",
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[fd00:ec2::254]/",
)


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_an_address_that_is_not_of_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenTarget):
        check_address(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_an_address_of_the_public_internet_is_allowed(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("url", GOOD)
def test_a_public_https_url_is_allowed(url: str) -> None:
    assert not parse_target(url, ()).internal


@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_that_could_be_read_in_two_ways_is_malformed(url: str) -> None:
    with pytest.raises(MalformedTarget):
        parse_target(url, ())


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_url_that_leads_inside_is_forbidden_unless_the_operator_names_its_host(url: str) -> None:
    with pytest.raises(ForbiddenTarget):
        parse_target(url, (("other.example.com", None),))
    host = url.split("//")[1].rpartition("/")[0].partition("/")[0]
    name = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
    assert parse_target(url, ((name, None),)).internal


def test_an_internal_host_may_be_limited_to_a_port() -> None:
    internal = (("erp.lan", 8080),)
    assert parse_target("http://erp.lan:8080/hooks", internal).internal
    with pytest.raises(ForbiddenTarget):
        parse_target("http://erp.lan:8081/hooks", internal)


@given(
    st.text(max_size=80) | st.text("htps:/.@[]0123456789abcdefx%#?\\", max_size=40).map("https://".__add__)
)
def test_any_text_is_a_target_or_refused_in_words(url: str) -> None:
    try:
        target = parse_target(url, ())
    except MalformedRequest as error:
        assert str(error).startswith("url: ") or "public internet" in str(error)
    else:
        assert target.url == url and url.startswith("https://") and target.port in (443, 8443)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """A server on loopback that notes every connection."""
    reached: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], reached
    finally:
        await runner.cleanup()


async def test_a_name_that_is_public_for_the_check_and_internal_for_the_connection_reaches_nothing() -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with listening() as (port, reached):
        target = Target(url=f"http://rebind.test:{port}/x", host="rebind.test", port=port, internal=False)
        await check_name(target, rebinding)
        async with guarded_session(target, rebinding, limit=1) as http:
            with pytest.raises(ForbiddenTarget):
                await http.post(target.url)
        assert reached == [] and answers == []


async def test_one_look_up_is_made_for_each_delivery_and_its_answer_is_what_is_connected_to() -> None:
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) < 3 else ["127.0.0.2"]

    async with listening() as (port, reached):
        target = Target(url=f"http://erp.test:{port}/x", host="erp.test", port=port, internal=True)
        async with guarded_session(target, lookup, limit=1) as http:
            for _ in range(2):
                async with http.post(target.url) as answer:
                    assert answer.status == 200
            with pytest.raises(ClientError):
                await http.post(target.url)
        assert asked == ["erp.test"] * 3 and len(reached) == 2


async def test_one_forbidden_address_among_public_ones_refuses_all() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.7"]

    target = Target(url="https://mixed.test/x", host="mixed.test", port=443, internal=False)
    with pytest.raises(ForbiddenTarget):
        await check_name(target, lookup)
    with pytest.raises(ForbiddenTarget):
        await GuardedResolver(target, lookup).resolve(target.host, target.port)
    internal = Target(url=target.url, host=target.host, port=443, internal=True)
    found = await GuardedResolver(internal, lookup).resolve(target.host, target.port)
    assert [one["host"] for one in found] == ["93.184.216.34", "10.0.0.7"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost", "[::ffff:127.0.0.1]"],
)
async def test_no_spelling_of_loopback_gets_through_even_if_the_url_was_never_checked(
    host: str, names: Names
) -> None:
    async with listening() as (port, reached):
        url = f"http://{host}:{port}/x"
        target = Target(url=url, host=host, port=port, internal=False)
        async with guarded_session(target, names.look_up, limit=1) as http:
            with pytest.raises((ForbiddenTarget, ClientError, ValueError)):
                await http.post(url)
        assert reached == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, names: Names) -> None:
    async with listening() as (proxy, through_proxy), listening() as (port, reached):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        target = Target(url=f"http://127.0.0.1:{port}/x", host="127.0.0.1", port=port, internal=True)
        async with guarded_session(target, names.look_up, limit=1) as http:
            await http.post(target.url)
        assert (through_proxy, reached) == ([], ["/x"])
        async with ClientSession(trust_env=True) as http:
            await http.post(target.url)
        assert len(through_proxy) == 1, "the test would have seen it"


async def test_a_name_that_does_not_resolve_now_may_be_given_all_the_same(names: Names) -> None:
    async def failing(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    await check_name(parse_target("https://example.com/", ()), failing)
    assert await names.look_up("127.0.0.1", 80) == ["127.0.0.1"]
    await asyncio.sleep(0)


async def test_a_name_server_that_hangs_holds_up_neither_disk_nor_more_threads_than_are_its_own(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked = threading.Event(), threading.Semaphore(0)

    def hang(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.release()
        assert answered.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    looking = [asyncio.create_task(names.look_up("slow.example", 443)) for _ in range(50)]
    try:
        async with asyncio.timeout(5):
            for _ in range(MAX_LOOKUPS):  # all of them, in the threads that blobs and journals are written by
                assert await asyncio.to_thread(asked.acquire, True, 4)
            given_up = looking.pop(0)
            given_up.cancel()
            await asyncio.wait([given_up])
        assert not asked.acquire(timeout=0.2), "who gives up leaves a thread that hangs, and no room for more"
    finally:
        answered.set()
    assert await asyncio.gather(*looking) == [["192.0.2.1"]] * 49


async def test_who_asks_for_a_name_as_the_service_stops_is_told_so(names: Names) -> None:
    names.close()
    with pytest.raises(OSError, match="stops"):
        await names.look_up("127.0.0.1", 80)
