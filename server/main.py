"""The command line: `proofcall serve`, and `verify`, `check`, `retain` and `rotate`."""

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace

import uvloop
from aiohttp import web

from media.errors import MediaError
from server import check_command, retain_command, rotate_command
from server.app import running_service
from server.errors import MalformedSetting
from server.evidence import verify_command
from server.http.routes import make_app
from server.http.socket import Sockets
from server.recredentials import CredentialsRereader
from server.redecode import PictureRedecoder
from server.sample import print_sample
from server.self_signed import local_address, make_certificate
from server.settings import Settings, read_settings
from server.store.errors import StoreError
from server.store.recovery import create_folder

# Containers made before the youngest are looked at, which takes a microsecond each; Python begins with 700.
GARBAGE_THRESHOLD = 4_000
BACKLOG = 1024  # connections that wait to be accepted when a thousand pages come back at once
SHUTDOWN_S = 3.0  # sockets have been told by then; what still hangs is cut


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carries out one command line and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="proofcall", description="Live verification of a parcel, sealed as evidence"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="start the service")
    serve.add_argument(
        "--sample", action="store_true", help="make up an API key, open a sample case, print its links"
    )
    serve.add_argument(
        "--phone",
        action="store_true",
        help="be reachable from phones in this network: every interface, HTTPS, self-signed certificate",
    )
    commands.add_parser("verify", help="verify an evidence package or a voucher", add_help=False)
    commands.add_parser("check", help="check all that a data folder holds", add_help=False)
    commands.add_parser("retain", help="list what the rules of retention would erase", add_help=False)
    commands.add_parser("rotate", help="replace the key of the log, or the one that wraps", add_help=False)
    known, rest = parser.parse_known_args(arguments)
    if known.command == "verify":
        with PictureRedecoder() as redecoder, CredentialsRereader() as credentials:
            return verify_command.run(rest, redecoder, credentials)
    if known.command == "check":
        return check_command.run(rest)
    if known.command == "retain":
        return retain_command.run(rest)
    if known.command == "rotate":
        return rotate_command.run(rest)
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = read_settings(
            os.environ, sample_api_key=secrets.token_urlsafe(24) if known.sample else None
        )
        if known.phone:
            settings = _for_phones(settings)
        uvloop.run(_serve(settings))
    except (MalformedSetting, StoreError, MediaError, OSError) as error:
        print(f"proofcall stops: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listening = socket.create_server(
        (settings.http_host, settings.http_port), family=_family(settings.http_host), backlog=BACKLOG
    )
    settings = settings.bound_to(listening.getsockname()[1])
    async with running_service(settings) as service:
        sockets = Sockets()
        runner = web.AppRunner(make_app(service, sockets), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=_tls(settings)).start()
        if settings.sample:
            await print_sample(service, settings)
        _spare_the_collector()
        print(f"Proofcall listens on {settings.public_url}", flush=True)
        await stop.wait()
        # In order: calls are ended in the log, people are told, then the ports close.
        await service.calls.drain()
        sockets.drain()
        await runner.cleanup()


def _spare_the_collector() -> None:
    """What is loaded by now stays: collections look at what came later, and seldom at all of it.

    Packets in histories are many and short-lived, and hold no cycles; a full collection over every module and
    model costs tens of milliseconds, in which no packet is forwarded.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 100)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context


def _for_phones(settings: Settings) -> Settings:
    """A phone's camera wants HTTPS, and an address that it can reach."""
    address = local_address()
    settings = replace(
        settings,
        http_host="0.0.0.0",
        public_url=settings.public_url or f"https://{address}:{settings.http_port}",
    )
    if settings.tls_certificate is not None:
        return settings
    create_folder(settings.data_dir)
    certificate, key = make_certificate(settings.data_dir / "tls", address)
    return replace(settings, tls_certificate=certificate, tls_key=key)
