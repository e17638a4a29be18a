"""The wording of this service, for pages: notices, choices, kinds of exceptions, decisions and phrases."""

import hashlib
import json

from aiohttp import ETag, web
from pydantic import TypeAdapter

from server.http.operations import ANYONE, JSON, Incoming, operation
from signaling.wording import Rules, Wording

FRESH_S = 300  # for so long a page that comes again asks nobody; a new wording comes with a restart
_RULES: TypeAdapter[Rules] = TypeAdapter(Rules)


async def show_wording(incoming: Incoming) -> web.Response:
    """The rules and the texts of the wording, in every language: `{"rules", "texts": {"zh", "en", …}}`."""
    body = _encode(incoming.service.wording)
    etag = hashlib.sha256(body).hexdigest()[:32]
    response = web.Response(body=body, content_type=JSON, charset="utf-8")
    response.etag = ETag(value=etag, is_weak=True)  # the same words, compressed or not
    response.headers["Cache-Control"] = f"public, max-age={FRESH_S}"
    response.headers["Vary"] = "Accept-Encoding"
    # RFC 9110 section 13.1.2: any of the tags, compared weakly, or "*".
    known = incoming.request.if_none_match or ()
    if any(tag.value in (etag, "*") for tag in known):
        not_modified = web.Response(status=304)
        not_modified.headers.update(
            {name: response.headers[name] for name in ("ETag", "Cache-Control", "Vary")}
        )
        return not_modified
    response.enable_compression()
    return response


def _encode(wording: Wording) -> bytes:
    """Some 20 KB, in a fraction of a millisecond."""
    whole = {"rules": _RULES.dump_python(wording.rules, mode="json"), "texts": wording.texts}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


OPERATIONS = (operation("GET", "/api/wording", show_wording, ANYONE, gives=JSON),)
