"""The process in which one voucher becomes a PDF: what it is made of in, the file out, and the end.

    render(…) ── pipe ──> JSON: voucher, url, language, font ──> render_voucher ── pipe ──> PDF

It is apart from the service because laying out pages holds the interpreter for 100 ms and more, in a thread
too: calls would stutter.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from server.errors import InternalError
from server.evidence.voucher import parse_voucher
from server.pdf_sheet import PdfLanguage
from server.voucher_pdf import render_voucher

NICENESS = 10  # calls go first
TIMEOUT_S = 60.0  # it takes half a second, most of that to start


async def render(document: bytes, *, url: str, language: PdfLanguage, font: Path | None) -> bytes:
    """`render_voucher` of a document in a process of its own. Raises InternalError."""
    request = {
        "voucher": document.decode(),
        "url": url,
        "language": language,
        "font": None if font is None else str(font),
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server.voucher_worker", stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            pdf, _ = await worker.communicate(json.dumps(request).encode())
    except TimeoutError:
        pdf = b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()  # it holds nothing that could be lost
        await worker.wait()
    if worker.returncode != 0 or not pdf:
        raise InternalError("the voucher could not be put on paper: the document itself is there")
    return pdf


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with os.fdopen(0, "rb") as pipe:
        request = json.loads(pipe.read())
    pdf = render_voucher(
        parse_voucher(request["voucher"].encode()),
        url=request["url"],
        language=request["language"],
        font=None if request["font"] is None else Path(request["font"]),
    )
    with os.fdopen(1, "wb") as answer:
        answer.write(pdf)


if __name__ == "__main__":
    main()
