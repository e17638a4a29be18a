"""The pages and their modules, as they lie in `web/`; nothing else of that folder is served.

One page, that which checks packages, is served as the one file that lies in every package: whoever saves it
has it for the day on which there is no service to ask.
"""

from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

import web as pages
from server.check_page import check_page, security_policy

FOLDER = Path(pages.__file__).parent
PAGES = {
    "/c": "customer.html",
    "/d": "courier.html",
    "/g": "guest.html",
    "/qa": "qa.html",
    "/v": "voucher.html",
}
SERVED = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MODULES = {file.name: file for file in FOLDER.iterdir() if file.suffix in SERVED}  # a name leads nowhere else
SECURITY_HEADERS = {
    # Modules from here alone; pictures from here, from memory and of the camera; sockets to here.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "style-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def mount(app: web.Application) -> None:
    """Adds the pages and `/web/…` to the router. The page that checks is put together here, at the start: it
    takes a tenth of a second, for which no call shall wait.
    """
    for path, name in PAGES.items():
        app.router.add_get(path, _page(FOLDER / name))
    policy = {"Content-Security-Policy": security_policy()}
    app.router.add_get("/check", _whole(check_page(), SECURITY_HEADERS | policy))
    app.router.add_get("/web/{name}", _module)


def _page(file: Path):  # type: ignore[no-untyped-def]
    async def handle(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file, headers=SECURITY_HEADERS)

    return handle


def _whole(page: bytes, headers: Mapping[str, str]):  # type: ignore[no-untyped-def]
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

    return handle


async def _module(request: web.Request) -> web.FileResponse:
    file = MODULES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    return web.FileResponse(file, headers=SECURITY_HEADERS | {"Content-Type": SERVED[file.suffix]})
