"""The process that knows C2PA: pictures in, what their credentials are or copies with ours out.

It is apart from the service for the reasons of attachment_worker.py: manifests come from strangers, and the
library that reads them is native code. It lives for one picture of a stranger, or for some of one source.
Nothing is fetched: credentials that lie elsewhere are not looked for,
and revocation is not asked for. What passes to and fro is drawn in `credentials_protocol.py`.

A copy is made by opening the sealed picture (the action `c2pa.opened`, the picture as its parent) and saying
what is known of it. How it came to be is not said: no service knows what stood before the camera.
"""

import io
import json
import os
import re
import resource
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

import c2pa

from media.credentials_protocol import (
    COPY,
    FAILED,
    FRAME,
    PICTURE,
    READ,
    SIGNATURE,
    TO_SIGN,
    CredentialFacts,
    Order,
    Standing,
    encode_facts,
    encode_frame,
    parse_look,
    parse_order,
)

NICENESS = 10  # forwarding goes first
MAX_MEMORY_BYTES = 1 << 30  # the picture five times, the library, and the stacks of its threads
MAX_CPU_S = 20  # the largest photo takes one; copies of PICTURES_A_WORKER frames take two
MAX_OPEN_FILES = 32

MAX_TEXT_CHARACTERS = 100  # of what a manifest says of itself
MAX_SOURCE_TYPES = 8
# The one failure that says nothing of the picture: nobody here knows who signed.
UNTRUSTED = "signingCredential.untrusted"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
# Signatures are checked by who reads; what is made is made of what the manifest says, no more: no thumbnail.
SETTINGS: Mapping[str, Any] = {
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
GENERATOR = {"name": "Proofcall"}


def main() -> None:
    # Ctrl-C reaches every process of the terminal; the server ends this one itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_FSIZE, 0),  # what it makes goes into the pipe
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land among the answers

    def ask(to_sign: bytes) -> bytes:
        answers.write(encode_frame(TO_SIGN, to_sign))
        answers.flush()
        return _receive(questions, SIGNATURE)

    with os.fdopen(0, "rb") as questions:
        while head := questions.read(FRAME.size):
            kind, size = FRAME.unpack(head)
            order = questions.read(size)
            picture = _receive(questions, PICTURE)
            if kind == READ:
                look = parse_look(order)
                answer = encode_facts(read(picture, look["media_type"], look["roots"]))
            else:
                try:
                    answer = encode_frame(COPY, sign(picture, parse_order(order), ask))
                except (c2pa.C2paError, MemoryError) as error:
                    answer = encode_frame(FAILED, str(error).encode())
            answers.write(answer)
            answers.flush()


def _receive(questions: BinaryIO, expected: int) -> bytes:
    kind, size = FRAME.unpack(questions.read(FRAME.size))
    assert kind == expected
    return questions.read(size)


# --- copies ---


def sign(picture: bytes, order: Order, ask: Callable[[bytes], bytes]) -> bytes:
    """The picture with credentials, which `ask` has signed by whoever holds the key. Raises C2paError."""
    manifest = {
        "claim_generator_info": [GENERATOR],
        "title": order.title,
        "assertions": [
            {"label": order.label, "kind": "Json", "data": json.loads(order.assertion), "created": True}
        ],
    }
    algorithm = c2pa.C2paSigningAlg[order.algorithm]
    copy = io.BytesIO()
    with (
        c2pa.Context.from_dict(dict(SETTINGS)) as context,
        c2pa.Builder(manifest, context) as builder,
        c2pa.Signer.from_callback(ask, algorithm, order.certificates) as signer,
    ):
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        builder.sign(signer, order.media_type, io.BytesIO(picture), copy)
    return copy.getvalue()


# --- what pictures bring ---


def read(picture: bytes, media_type: str, roots: str) -> CredentialFacts:
    """What its credentials are. A picture that has none after all is `unreadable`."""
    trust = {"trust": {"user_anchors": roots}} if roots else {}
    try:
        with (
            c2pa.Context.from_dict({**SETTINGS, **trust}) as context,
            c2pa.Reader(media_type, io.BytesIO(picture), context=context) as reader,
        ):
            store = json.loads(reader.json())
        return describe(store)
    except (c2pa.C2paError, MemoryError, ValueError, RecursionError):
        return CredentialFacts(standing="unreadable")


def describe(store: object) -> CredentialFacts:
    """What a reader's report says, in few words, none longer than an entry may have. Much of it is copied
    from the manifest: of any shape that a stranger chose.
    """
    report = _object(store)
    results = _object(report.get("validation_results"))
    failures = _list(_object(results.get("activeManifest")).get("failure"))
    for ingredient in _list(results.get("ingredientDeltas")):
        failures = [*failures, *_list(_object(_object(ingredient).get("validationDeltas")).get("failure"))]
    codes = [str(_object(failure).get("code")) for failure in failures]
    problems = [code for code in codes if code != UNTRUSTED]
    standing: Standing = "unknown_signer"
    if problems:
        standing = "invalid"
    elif report.get("validation_state") == "Trusted":
        standing = "trusted"
    manifests = _object(report.get("manifests"))
    active = _object(manifests.get(str(report.get("active_manifest"))))
    signature = _object(active.get("signature_info"))
    generators = [*_list(active.get("claim_generator_info")), None]
    return CredentialFacts(
        standing=standing,
        problem=_code(problems[0]) if problems else None,
        signer=_text(signature.get("issuer")),
        generator=_text(_object(generators[0]).get("name")) or _text(active.get("claim_generator")),
        source_types=_source_types(manifests.values()),
        signed_at=_time(signature.get("time")),
    )


def _source_types(manifests: Iterable[object]) -> tuple[str, ...]:
    """The last parts of the addresses by which actions name their digital source types."""
    found: dict[str, None] = {}
    for manifest in manifests:
        for assertion in map(_object, _list(_object(manifest).get("assertions"))):
            if str(assertion.get("label")).startswith("c2pa.actions"):
                for action in _list(_object(assertion.get("data")).get("actions")):
                    name = str(_object(action).get("digitalSourceType")).rpartition("/")
                    if name[1] and _CODE.fullmatch(name[2]):
                        found[name[2]] = None
    return tuple(found)[:MAX_SOURCE_TYPES]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _code(text: str) -> str:
    return text if _CODE.fullmatch(text) else "other"


def _text(value: object) -> str | None:
    """One line without anything that is not seen."""
    if not isinstance(value, str):
        return None
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return line[:MAX_TEXT_CHARACTERS] or None


def _time(value: object) -> str | None:
    """As entries write a time; None if it is none."""
    try:
        moment_at = datetime.fromisoformat(str(value))
        if moment_at.tzinfo is None:
            return None
        return moment_at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    except (ValueError, OverflowError):
        return None


if __name__ == "__main__":
    main()
