"""The evidence log for everyone, read-only: checkpoint, key and tiles (C2SP tlog-tiles).

Nothing here is personal: tiles are hashes, and entry bundles hold envelopes. What stands under the path of a
tile never changes, so whoever is in between may keep it for ever; the checkpoint is new with every entry.
"""

from aiohttp import web

from server.errors import UnknownThing
from server.evidence.handover import encode_handovers
from server.evidence.policy import encode_policy
from server.evidence.tiles import parse_tile_path
from server.http.operations import ANYONE, INTEGRATOR, Incoming, operation
from server.models import Witness, WitnessList

OCTETS = "application/octet-stream"
NEW_EACH_TIME = {"Cache-Control": "no-store"}
IMMUTABLE = "public, max-age=31536000, immutable"  # a year, the longest that caches promise to look at


async def show_checkpoint(incoming: Incoming) -> web.Response:
    """The newest checkpoint of the log (C2SP tlog-checkpoint).

    Nobody waits for a witness: cosignatures stand in it once the quorum has signed, until the log grows.
    """
    log, cosigned = incoming.service.log, incoming.service.witnesses.cosigned
    fits = cosigned is not None and cosigned.tree_size == log.size
    note = cosigned.cosigned_note if cosigned is not None and fits else log.checkpoint
    return web.Response(text=note, headers=NEW_EACH_TIME)


async def show_cosigned_checkpoint(incoming: Incoming) -> web.Response:
    """The newest checkpoint that the quorum of the witnesses has cosigned; 404 while there is none."""
    cosigned = incoming.service.witnesses.cosigned
    if cosigned is None:
        raise UnknownThing("no checkpoint of this log has been cosigned by a quorum of witnesses as yet")
    return web.Response(text=cosigned.cosigned_note, headers=NEW_EACH_TIME)


async def show_policy(incoming: Incoming) -> web.Response:
    """Which witnesses cosign the log, and how many must (C2SP tlog-policy); 404 if none do."""
    policy = incoming.service.witnesses.policy
    if policy is None:
        raise UnknownThing("no witnesses cosign this log: its operator has set no policy")
    return web.Response(text=encode_policy(policy))


async def list_witnesses(incoming: Incoming) -> WitnessList:
    """How each witness stands: what it has cosigned, and if not, why and what to do."""
    witnesses = incoming.service.witnesses
    return WitnessList(
        cosigned_size=None if witnesses.cosigned is None else witnesses.cosigned.tree_size,
        witnesses=[
            Witness(
                name=status.name,
                key_name=status.key_name,
                url=status.url,
                standing=status.standing,
                words=status.words,
                cosigned_size=status.cosigned_size,
            )
            for status in witnesses.statuses()
        ],
    )


async def show_vkey(incoming: Incoming) -> web.Response:
    """The log's verifier key (C2SP signed-note)."""
    return web.Response(text=incoming.service.log.vkey + "\n")


async def show_vkeys(incoming: Incoming) -> web.Response:
    """All verifier keys of this log as `keys.json`, and how each followed from the one before (rotations).

    `vkey` is the newest; while there was no other, `handovers` is empty.
    """
    log = incoming.service.log
    size = log.size
    data = encode_handovers(await log.handovers(size), tree_size=size, vkey=log.vkey)
    return web.Response(body=data, content_type="application/json", headers=NEW_EACH_TIME)


async def show_trust(incoming: Incoming) -> web.Response:
    """A trust file for `proofcall verify --trust`: the log's keys, with those of before, and who attests
    its checkpoints. Keep it: one that is fetched when something is to be checked is the operator's word of
    that day.
    """
    return web.Response(body=incoming.service.packages.trust, content_type="application/json")


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
    operation("GET", "/log/checkpoint/cosigned", show_cosigned_checkpoint, ANYONE, gives="text/plain"),
    operation("GET", "/log/policy", show_policy, ANYONE, gives="text/plain"),
    operation("GET", "/api/witnesses", list_witnesses, INTEGRATOR, gives=WitnessList),
    operation("GET", "/log/vkey", show_vkey, ANYONE, gives="text/plain"),
    operation("GET", "/log/vkeys", show_vkeys, ANYONE, gives="application/json"),
    operation("GET", "/log/trust", show_trust, ANYONE, gives="application/json"),
    operation("GET", "/log/tile/{tile:.+}", get_tile, ANYONE, gives=OCTETS),
)
