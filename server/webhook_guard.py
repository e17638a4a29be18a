"""What a webhook may reach: a URL that somebody gave must not become a way into the operator's own network.

    url ── parse_target ──> https, a name or an address, a port for the web
    name ── GuardedResolver ──> every address that it has is public, or none is used
    address ── checked again as the socket is made: what was checked is what is connected to

The look-up is made for each delivery and its answer used for that one alone: a name that is public for the
check and internal for the connection (DNS rebinding) gains nothing. No proxy, no redirect, no cookie, no
connection is kept. Hosts that the operator names may be internal, and `http`.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from server.errors import ForbiddenTarget, MalformedTarget

MAX_URL_CHARACTERS = 2000
TIMEOUT_S = 15.0  # of a delivery as a whole; Standard Webhooks: "recommended to be between 15s and 30s"
# At the same time: a resolver that hangs for half a minute holds up webhooks alone, and not all of them.
MAX_LOOKUPS = 8
PUBLIC_PORTS = frozenset({443, 8443})  # where https is served; others are for the network's own machines

# `host`, and its port or None for any.
InternalHosts: TypeAlias = Collection[tuple[str, int | None]]
Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]  # the addresses of a name; raises OSError

# Deliberately narrow: no user, no escapes, no backslash, nothing that two parsers could read differently.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>(?=[^:/?]{{1,253}}(?:[:/?]|$)){_LABEL}(?:\.{_LABEL})*|\[[0-9a-f]*:[0-9a-f:.]*\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][!$-;=?-Z_a-z~]*)?",
    re.ASCII,
)

# IANA's registries of special-purpose addresses (RFC 6890 and its heirs), and what clouds answer at.
_FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598; metadata of Alibaba Cloud
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host, though the address is public
        "169.254.0.0/16",  # link-local, RFC 3927; metadata of most clouds
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890; metadata of Oracle Cloud
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112, and broadcast
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that is unicast and public
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address stands at its end
_FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, RFC 2928, Teredo (RFC 4380) among them
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: leads to an IPv4 address
        "3fff::/20",  # documentation, RFC 9637
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that may be called. `internal`: the operator allows any address."""

    url: str
    host: str
    port: int
    internal: bool


def parse_target(url: str, internal_hosts: InternalHosts) -> Target:
    """Raises MalformedTarget for what is no such URL, ForbiddenTarget for what must not be called."""
    match = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
    if match is None:
        raise MalformedTarget(
            f"url: write https://host/path, in lower case up to the path, in ASCII, without user, fragment"
            f" or spaces, and in at most {MAX_URL_CHARACTERS} characters"
        )
    scheme, host = match["scheme"], match["host"].strip("[]")
    port = int(match["port"] or (443 if scheme == "https" else 80))
    internal = (host, None) in internal_hosts or (host, port) in internal_hosts
    address = _parse_address(host)
    if not 0 < port < 65536:
        raise MalformedTarget("url: a port is a number from 1 to 65535")
    if internal:
        return Target(url=url, host=host, port=port, internal=True)
    if scheme != "https":
        raise ForbiddenTarget(
            "url: entries are sent over https alone; the operator may allow a host in your own network in"
            " PROOFCALL_WEBHOOK_INTERNAL_HOSTS"
        )
    if port not in PUBLIC_PORTS:
        raise ForbiddenTarget(
            f"url: port {port} is not one of {', '.join(map(str, sorted(PUBLIC_PORTS)))}; the operator may"
            " allow it in PROOFCALL_WEBHOOK_INTERNAL_HOSTS"
        )
    if address is not None:
        check_address(str(address))
    return Target(url=url, host=host, port=port, internal=False)


def check_address(text: str) -> None:
    """Raises ForbiddenTarget unless an address is one of the public internet."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        public = (
            _is_public_v4(inner)
            if inner is not None
            else address in _GLOBAL_V6
            and address.scope_id is None
            and not any(address in network for network in _FORBIDDEN_V6)
        )
    else:
        public = _is_public_v4(address)
    if not public:
        raise ForbiddenTarget(
            f"{text} is no address of the public internet: the operator may allow the host in"
            " PROOFCALL_WEBHOOK_INTERNAL_HOSTS"
        )


class Names:
    """Names as this machine resolves them, in threads of their own: those of the loop write entries, blobs
    and journals, and must not wait for somebody's name server. `close` at the end.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="names")
        self._free = asyncio.Semaphore(MAX_LOOKUPS)

    async def look_up(self, host: str, port: int) -> list[str]:
        """The addresses of a name; who comes while all threads are busy waits for one."""
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        try:
            looking = self._threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        except RuntimeError:  # closed
            self._free.release()
            raise OSError("the service stops") from None

        def ended(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._free.release)

        # A look-up that nobody waits for any more still has its thread.
        looking.add_done_callback(ended)
        found = await asyncio.wrap_future(looking)
        return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]

    def close(self) -> None:
        """Begins no more; what hangs is left to itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Gives the addresses of a name if all are allowed, and none if one is not."""

    def __init__(self, target: Target, lookup: Lookup) -> None:
        self._target = target
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises ForbiddenTarget, and OSError if there is no such name."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        if not self._target.internal:
            for address in addresses:
                check_address(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Holds nothing."""


async def check_name(target: Target, lookup: Lookup) -> None:
    """Raises ForbiddenTarget for a name that leads to forbidden addresses now; what it does later is looked
    at with each delivery. A name that cannot be resolved now may be later.
    """
    if target.internal or _parse_address(target.host) is not None:
        return
    try:
        async with asyncio.timeout(TIMEOUT_S):
            addresses = await lookup(target.host, target.port)
    except (OSError, TimeoutError):
        return
    for address in addresses:
        check_address(address)


def guarded_session(target: Target, lookup: Lookup, *, limit: int) -> ClientSession:
    """A session for this target alone; each request makes a connection of its own, `limit` at a time."""

    def make_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        if not target.internal:
            check_address(str(sockaddr[0]))  # an address in the URL was never resolved
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return ClientSession(
        connector=TCPConnector(
            resolver=GuardedResolver(target, lookup),
            use_dns_cache=False,
            force_close=True,
            limit=limit,
            socket_factory=make_socket,
        ),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=TIMEOUT_S),
        trust_env=False,  # a proxy would do the look-up itself
        auto_decompress=False,
        headers={"User-Agent": "Proofcall-Webhooks/1", "Accept-Encoding": "identity"},
    )


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, None for a name; raises MalformedTarget for odd spellings of one.

    WHATWG URL section 3.5: a host whose last label is a number is an IPv4 address. Elsewhere `2130706433`,
    `0x7f.1` and `0177.0.0.1` are 127.0.0.1.
    """
    if ":" in host or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        try:
            return ipaddress.ip_address(host)
        except ValueError:
            raise MalformedTarget("url: write an IPv4 address as four decimal numbers") from None
    return None


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in network for network in _FORBIDDEN_V4)
