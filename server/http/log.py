"""The evidence log for everyone, read-only: checkpoint, key and tiles (C2SP tlog-tiles).

Nothing here is personal: tiles are hashes, and entry bundles hold envelopes. What stands under the path of a
tile never changes, so whoever is in between may keep it for ever; the checkpoint is new with every entry.
"""

from aiohttp import web

from server.evidence.tiles import parse_tile_path
from server.http.operations import ANYONE, Incoming, operation

OCTETS = "application/octet-stream"
IMMUTABLE = "public, max-age=31536000, immutable"  # a year, the longest that caches promise to look at


async def show_checkpoint(incoming: Incoming) -> web.Response:
    """The newest checkpoint of the log (C2SP tlog-checkpoint)."""
    return web.Response(text=incoming.service.log.checkpoint, headers={"Cache-Control": "no-store"})


async def show_vkey(incoming: Incoming) -> web.Response:
    """The log's verifier key (C2SP signed-note)."""
    return web.Response(text=incoming.service.log.vkey + "\n")


async def get_tile(incoming: Incoming) -> web.Response:
    """Hashes of the tree, `<L>/<N>[.p/<W>]`, or the entries below, `entries/<N>[.p/<W>]` (tlog-tiles)."""
    tile = parse_tile_path(incoming.request.match_info["tile"])
    answer = web.Response(
        body=await incoming.service.log.tile(tile),
        content_type=OCTETS,
        headers={"Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"},
    )
    answer.enable_compression()  # tlog-tiles: "Entry bundles SHOULD be compressed at the HTTP layer."
    return answer


OPERATIONS = (
    operation("GET", "/log/checkpoint", show_checkpoint, ANYONE, gives="text/plain"),
    operation("GET", "/log/vkey", show_vkey, ANYONE, gives="text/plain"),
    operation("GET", "/log/tile/{tile:.+}", get_tile, ANYONE, gives=OCTETS),
)
