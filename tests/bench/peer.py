"""What a measurement asks of a server, whichever it is."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Protocol, TypeVar

from tests.bench.bot import Bot
from tests.bench.processes import Server


class Peer(Protocol):
    """A server under test and the way into it."""

    name: str
    server: Server

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def connect_call(self) -> list[Bot]:
        """One more call of two; its connections are up and silent. A person may have more than one."""
        ...


AnyPeer = TypeVar("AnyPeer", bound=Peer)


@contextlib.asynccontextmanager
async def running(peer: AnyPeer) -> AsyncIterator[AnyPeer]:
    try:
        await peer.start()
        yield peer
    finally:
        await peer.stop()


@contextlib.contextmanager
def sending(bots: list[Bot]) -> Iterator[None]:
    """All bots that can send do so, evenly spread over the time of one picture."""
    senders = [bot for bot in bots if bot.sends]
    for index, bot in enumerate(senders):
        bot.start_sending(phase=index / len(senders))
    try:
        yield
    finally:
        for bot in senders:
            bot.stop_sending()
