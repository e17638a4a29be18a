"""The process in which a case becomes a report on paper, in each language: entries and pictures in, PDFs out.

    make_reports(…) ── pipe ──> the package without its blobs ── verified, told ─┐
                    ── pipe ──> each picture ── made small at once ──────────────┤
                    <── pipe ── the PDF of each language <── render_report ──────┘

Every piece has its length in front, four bytes. It is apart from the service because decoding pictures and
laying out pages hold the interpreter: calls would stutter. No more than one picture is large at once.
"""

import asyncio
import contextlib
import io
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from server.errors import InternalError
from server.evidence.canonical import JsonObject
from server.evidence.container import read_container
from server.evidence.entry import Envelope, encode_envelope, hash_envelope, parse_body, parse_envelope
from server.evidence.package import parse_entry_file
from server.evidence.report import FRAMES_STEP, Outcome, Step
from server.evidence.trust import Trust, parse_trust
from server.evidence.verify import verify_package
from server.pdf_sheet import PDF_LANGUAGES, PdfLanguage
from server.report_pdf import render_report
from server.report_story import Told, tell

NICENESS = 10  # calls go first
TIMEOUT_S = 300.0  # sixty photos of 48 megapixels take half a minute here
COPY_PIXELS = 720  # of the longer side: 250 dpi as printed, some 60 KiB
COPY_QUALITY = 72
# Steps of verification that look at the wrapping or at the blobs, and those in which the service could vouch
# for nobody but itself (10, its key; 11, its history): whoever opens the package makes them.
OF_WHO_OPENS = frozenset({1, 2, 7, FRAMES_STEP, 10, 11, 14})
WITNESSES_STEP = 13
_LENGTH = struct.Struct(">I")

# A blob by its SHA-256; None if it cannot be read.
ReadBlob = Callable[[str], Awaitable[bytes | None]]


async def make_reports(
    package: bytes,
    *,
    pictures: Sequence[str],
    read_blob: ReadBlob,
    font: Path | None,
    trust: str | None = None,
) -> Mapping[PdfLanguage, bytes]:
    """The reports of a case, one a language, told from `package`: what will be exported, without its blobs.

    `pictures` are those that `pictures_of` finds; `trust` is the text of a trust file. The same arguments
    give the same bytes. Raises InternalError.
    """
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server.report_worker", stdin=PIPE, stdout=PIPE
    )
    assert worker.stdin is not None and worker.stdout is not None
    chosen = list(dict.fromkeys(pictures))
    request = {"font": None if font is None else str(font), "pictures": chosen, "trust": trust}
    found: dict[PdfLanguage, bytes] = {}
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await _send(worker.stdin, json.dumps(request).encode())
            await _send(worker.stdin, package)
            for sha256 in chosen:
                await _send(worker.stdin, await read_blob(sha256) or b"")
            worker.stdin.close()
            for language in PDF_LANGUAGES:
                (length,) = _LENGTH.unpack(await worker.stdout.readexactly(_LENGTH.size))
                found[language] = await worker.stdout.readexactly(length)
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
        raise InternalError(
            "the report could not be put on paper: the package proves the case without it"
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()  # it holds nothing that could be lost
        await worker.wait()
    return found


async def _send(pipe: asyncio.StreamWriter, data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    await pipe.drain()


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with os.fdopen(0, "rb") as pipe, os.fdopen(1, "wb") as answer:
        request = json.loads(_read(pipe))
        package = _read(pipe)
        copies = {sha256: copy for sha256 in request["pictures"] if (copy := small_copy(_read(pipe)))}
        font = None if request["font"] is None else Path(request["font"])
        trust = None if request["trust"] is None else parse_trust(request["trust"].encode())
        for pdf in render_package(package, copies=copies, font=font, trust=trust):
            answer.write(_LENGTH.pack(len(pdf)) + pdf)


def _read(pipe: BinaryIO) -> bytes:
    (length,) = _LENGTH.unpack(pipe.read(_LENGTH.size))
    return pipe.read(length)


def render_package(
    package: bytes, *, copies: Mapping[str, bytes], font: Path | None, trust: Trust | None = None
) -> Iterator[bytes]:
    """The report in each language, with the checks that can be made without the blobs."""
    members = {name: bytes(data) for name, data in read_container(package).in_order}
    entries = entries_of(members)
    steps = list(steps_on_paper(package, trust))
    hashes = [hash_envelope(encode_envelope(entries[place].envelope)) for place in (0, -1)]
    for language in PDF_LANGUAGES:
        yield render_report(
            tell(entries, language),
            steps=steps,
            checkpoint=members["checkpoint"].decode(),
            vkey=members["vkey"].decode().strip(),
            hashes=(hashes[0], hashes[1]),
            entries=len(entries),
            copies=copies,
            language=language,
            font=font,
        )


def steps_on_paper(package: bytes, trust: Trust | None) -> Iterator[Step]:
    """The steps of verification that the service can make. That too few witnesses have signed as yet makes no
    evidence bad: on paper it is a check that cannot be made. A signature that does not hold stays a failure.
    """
    for step in verify_package(package, trust=trust).steps:
        if step.number in OF_WHO_OPENS:
            continue
        # A finding at no file is of what is not there.
        if step.number == WITNESSES_STEP and step.findings and not any(one.member for one in step.findings):
            step = replace(step, outcome=Outcome.CANNOT_BE_MADE, findings=())
        yield step


def entries_of(members: Mapping[str, bytes]) -> list[Told]:
    """The entries of a package, in their order."""
    bodies: dict[int, JsonObject] = {}
    envelopes: dict[int, Envelope] = {}
    for name, data in members.items():
        match parse_entry_file(name):
            case (number, "envelope.json"):
                envelopes[number] = parse_envelope(data)
            case (number, "body.json"):
                bodies[number] = parse_body(data)
    return [Told(envelope=envelopes[number], body=bodies.get(number)) for number in sorted(envelopes)]


def small_copy(data: bytes) -> bytes | None:
    """A small JPEG without anything but the picture; None if this is no picture that can be read."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (COPY_PIXELS, COPY_PIXELS))  # a JPEG is decoded at the size that is needed
            picture.thumbnail((COPY_PIXELS, COPY_PIXELS))
            copy = io.BytesIO()
            picture.convert("RGB").save(copy, "JPEG", quality=COPY_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return copy.getvalue()


if __name__ == "__main__":
    main()
