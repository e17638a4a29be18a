"""The pages and the files that they consist of, from memory; nothing else of `web/` is served.

What somebody edits in `web/` is what the next page that they open consists of, without a restart: for a page,
and for a file under no version, the folder is looked at. Files under the present version need no look.

One page, that which checks packages, is served as the one file that lies in every package: whoever saves it
has it for the day on which there is no service to ask.
"""

import asyncio
import functools
import os
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ETag, web
from aiohttp.typedefs import Handler

import web as pages
from server.check_page import check_page, security_policy
from server.web_files import ASK_AGAIN, MEDIA_TYPES, WebFile, WebFiles, accepts_gzip, put_together, web_file

FOLDER = Path(pages.__file__).parent
PAGES = {
    "/c": "customer.html",
    "/d": "courier.html",
    "/g": "guest.html",
    "/qa": "qa.html",
    "/v": "voucher.html",
}
# A page is made of 80 files: what a browser reads of a page alone does not go with each of them.
FILE_HEADERS = {"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
PAGE_HEADERS = FILE_HEADERS | {
    # Modules from here alone; pictures from here, from memory and of the camera; sockets to here.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "style-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self)",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": ASK_AGAIN,
}

SUFFIXES = tuple(MEDIA_TYPES)

Look = Mapping[str, tuple[int, int]]  # when a file was changed, in nanoseconds, and its size in bytes


class WebFolder:
    """A folder of files, as they were when it was last looked at: `files`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked = self._look()
        self.files = self._read()

    async def look(self) -> WebFiles:
        """The files as they are now. A look takes less than a millisecond; if something has changed, all is
        read anew, beside the loop.
        """
        looked = self._look()
        if looked != self._looked:
            self.files = await asyncio.to_thread(self._read)
            self._looked = looked  # of before it was read: what changes meanwhile is seen next time
        return self.files

    def _look(self) -> Look:
        with os.scandir(self._folder) as files:
            stats = {file.name: file.stat() for file in files if file.name.endswith(SUFFIXES)}
        return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}

    def _read(self) -> WebFiles:
        return put_together({name: (self._folder / name).read_bytes() for name in self._look()})


def mount(app: web.Application) -> None:
    """Adds the pages and `/web/…` to the router. All is read and compressed here, at the start, and the page
    that checks is put together: it takes a tenth of a second, for which no call shall wait.
    """
    folder = _web_folder()
    for path, name in PAGES.items():
        app.router.add_get(path, _page(folder, name))
    policy = {"Content-Security-Policy": security_policy()}
    app.router.add_get("/check", _check(_check_file(), PAGE_HEADERS | policy))
    part = _part(folder)
    app.router.add_get("/web/{name}", part)
    app.router.add_get("/web/{version}/{name}", part)


@functools.cache
def _web_folder() -> WebFolder:
    return WebFolder(FOLDER)


@functools.cache
def _check_file() -> WebFile:
    return web_file("check.html", check_page())


def _page(folder: WebFolder, name: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return _answer(request, (await folder.look()).pages.get(name), PAGE_HEADERS)

    return handle


def _check(page: WebFile, headers: Mapping[str, str]) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return _answer(request, page, headers)

    return handle


def _part(folder: WebFolder) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        version = request.match_info.get("version")
        files = folder.files if version == folder.files.version else await folder.look()
        file = files.parts.get(request.match_info["name"])  # a name leads nowhere else
        return _answer(request, file, FILE_HEADERS | {"Cache-Control": files.keep(version)})

    return handle


def _answer(request: web.Request, file: WebFile | None, headers: Mapping[str, str]) -> web.Response:
    if file is None:
        raise web.HTTPNotFound
    # RFC 9110 section 13.1.2: any of the tags, compared weakly, or "*".
    if any(tag.value in (file.tag, "*") for tag in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    elif accepts_gzip(",".join(request.headers.getall("Accept-Encoding", ()))):
        encoded = {"Content-Type": file.media_type, "Content-Encoding": "gzip"}
        response = web.Response(body=file.gzipped, headers={**headers, **encoded})
    else:
        response = web.Response(body=file.plain, headers={**headers, "Content-Type": file.media_type})
    response.etag = ETag(value=file.tag, is_weak=True)
    return response
