"""Content credentials: what we make, another reader finds good; what was changed since, both refuse."""

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from media import credentials
from media.credentials import CredentialsWorker, read_credentials
from media.credentials_protocol import (
    FAILED,
    MAX_TO_SIGN_BYTES,
    SIGNED_START,
    TO_SIGN,
    CredentialFacts,
    carries_credentials,
    encode_facts,
    encode_frame,
    encode_order,
    parse_facts,
    parse_order,
)
from media.credentials_worker import describe
from media.errors import CredentialsFailed
from server.store.picture_keys import PictureSigner
from tests.media.attachment_files import picture, plain
from tests.media.credential_files import generated, make_copy, make_signer, order, read_elsewhere, store_of

PICTURE = plain(picture(), "JPEG")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> PictureSigner:
    return make_signer(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PictureSigner:
    return make_signer(tmp_path_factory.mktemp("theirs"), "elsewhere.example/log")


@pytest.fixture(scope="module")
def copy(signer: PictureSigner) -> Iterator[bytes]:
    yield asyncio.run(make_copy(PICTURE, order(signer), signer.sign))


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1 and len(old) == len(new)
    return data.replace(old, new)


# --- what we make ---


async def test_a_reader_that_shares_no_code_with_ours_trusts_our_copy(
    copy: bytes, signer: PictureSigner
) -> None:
    verdict = read_elsewhere(copy, signer.root)
    assert (verdict.integrity, verdict.trusted, verdict.failures) == ("valid", True, ())
    assert verdict.assertions["proofcall.evidence"] == {"a": 1}
    actions = verdict.assertions["c2pa.actions.v2"]["actions"]
    assert [action["action"] for action in actions] == ["c2pa.opened"]
    assert not any("digitalSourceType" in action for action in actions), "nobody here saw the camera"
    assert await read_credentials(copy, "image/jpeg", signer.root) == CredentialFacts(
        standing="trusted", signer="Proofcall proofcall.local/log", generator="Proofcall"
    )


async def test_whoever_does_not_know_our_root_is_told_so(copy: bytes, stranger: PictureSigner) -> None:
    verdict = read_elsewhere(copy, stranger.root)
    assert (verdict.integrity, verdict.trusted) == ("valid", False)
    for roots in ("", stranger.root):
        assert (await read_credentials(copy, "image/jpeg", roots)).standing == "unknown_signer"


def tampered(copy: bytes) -> dict[str, bytes]:
    """Each with its name; all of them look like the copy."""
    scan = copy.rindex(b"\xff\xda")
    return {
        "a pixel": copy[: scan + 2_000] + bytes([copy[scan + 2_000] ^ 1]) + copy[scan + 2_001 :],
        "the assertion": replaced(copy, b'{"a":1}', b'{"a":2}'),
        "the signer": replaced(copy, b"Proofcall pictures", b"Newspaper pictures"),
        "something behind the picture": copy + b"more",
    }


CHANGES = ("a pixel", "the assertion", "the signer", "something behind the picture")


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_since_is_refused_by_both_readers(
    change: str, copy: bytes, signer: PictureSigner
) -> None:
    data = tampered(copy)[change]
    verdict = read_elsewhere(data, signer.root)
    assert verdict.integrity != "valid" and verdict.failures
    facts = await read_credentials(data, "image/jpeg", signer.root)
    assert facts.standing in ("invalid", "unreadable")
    if facts.problem is not None:
        assert facts.problem in verdict.failures, "both name the same damage"


async def test_credentials_that_are_taken_to_another_picture_do_not_hold(
    copy: bytes, signer: PictureSigner
) -> None:
    store = store_of(copy)
    other = plain(picture(320, 240), "JPEG")
    place = other.index(b"\xff\xdb")
    data = other[:place] + copy[store.start : store.stop] + other[place:]
    assert read_elsewhere(data, signer.root).integrity != "valid"
    facts = await read_credentials(data, "image/jpeg", signer.root)
    assert (facts.standing, facts.problem) == ("invalid", "assertion.dataHash.mismatch")


async def test_a_copy_tells_neither_place_nor_device_and_is_the_same_picture(copy: bytes) -> None:
    with Image.open(io.BytesIO(copy), formats=["JPEG"]) as shown, Image.open(io.BytesIO(PICTURE)) as sealed:
        assert dict(shown.getexif()) == {} and not shown.getexif().get_ifd(0x8825)
        assert shown.tobytes() == sealed.tobytes()
        assert not {"exif", "xmp", "comment", "icc_profile"} & shown.info.keys()


# --- who signs ---


@pytest.mark.parametrize(
    "asked", [b"a checkpoint", SIGNED_START + bytes(MAX_TO_SIGN_BYTES)], ids=["other", "large"]
)
async def test_the_key_signs_claims_and_nothing_else_that_a_worker_asks_for(
    asked: bytes, signer: PictureSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def receive(_: object) -> tuple[int, bytes]:
        return TO_SIGN, asked

    monkeypatch.setattr(credentials, "_receive", receive)
    signed: list[bytes] = []
    with pytest.raises(CredentialsFailed, match="something else signed"):
        await make_copy(PICTURE, order(signer), lambda data: signed.append(data) or b"")  # type: ignore[func-returns-value]
    assert signed == []


async def test_a_key_that_does_not_answer_ends_the_worker_and_says_why(signer: PictureSigner) -> None:
    def locked(_: bytes) -> bytes:
        raise OSError("the module is locked")

    with pytest.raises(OSError, match="locked"):
        await make_copy(PICTURE, order(signer), locked)


async def test_a_worker_that_dies_or_takes_too_long_is_a_failure_with_a_code(signer: PictureSigner) -> None:
    with pytest.raises(CredentialsFailed) as unmade:
        await make_copy(b"\xff\xd8 no picture", order(signer), signer.sign)
    assert unmade.value.code == "unmade" and "JPEG" in str(unmade.value)
    with pytest.raises(CredentialsFailed) as late:
        await make_copy(PICTURE, order(signer), signer.sign, timeout_s=0)
    assert late.value.code == "timeout"


async def test_one_worker_makes_many_copies_and_a_failed_one_costs_no_other(
    signer: PictureSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start = [], credentials._start
    monkeypatch.setattr(credentials, "_start", lambda: started.append(1) or start())  # type: ignore[func-returns-value]
    monkeypatch.setattr(credentials, "PICTURES_A_WORKER", 3)
    async with CredentialsWorker() as worker:
        copies = [await worker.make(PICTURE, order(signer, f'{{"a":{n}}}'), signer.sign) for n in range(3)]
        assert len(started) == 1
        copies.append(await worker.make(PICTURE, order(signer, '{"a":3}'), signer.sign))
        assert len(started) == 2, "its CPU time has an end"
        with pytest.raises(CredentialsFailed):
            await worker.make(b"no picture", order(signer), signer.sign)
        copies.append(await worker.make(PICTURE, order(signer, '{"a":4}'), signer.sign))
    for n, made in enumerate(copies):
        assert read_elsewhere(made, signer.root).assertions["proofcall.evidence"] == {"a": n}


# --- what strangers bring ---


async def test_what_a_stranger_says_of_a_picture_is_told_as_theirs(stranger: PictureSigner) -> None:
    brought = generated(PICTURE, stranger)
    assert carries_credentials(brought) and not carries_credentials(PICTURE)
    facts = await read_credentials(brought, "image/jpeg", "")
    assert facts == CredentialFacts(
        standing="unknown_signer",
        signer="Proofcall elsewhere.example/log",
        generator="A picture model",
        source_types=("trainedAlgorithmicMedia",),
    )
    assert (await read_credentials(brought, "image/jpeg", stranger.root)).standing == "trusted"


async def test_what_was_made_of_a_generated_picture_still_says_so(
    stranger: PictureSigner, signer: PictureSigner
) -> None:
    again = await make_copy(generated(PICTURE, stranger), order(signer), signer.sign)
    facts = await read_credentials(again, "image/jpeg", signer.root)
    assert "trainedAlgorithmicMedia" in facts.source_types and facts.generator == "Proofcall"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_credentials_of_other_kinds_of_pictures_are_read_too(
    kind: str, stranger: PictureSigner
) -> None:
    media_type = f"image/{kind.lower()}"
    brought = generated(plain(picture(64, 64), kind), stranger, media_type)
    facts = await read_credentials(brought, media_type, stranger.root)
    assert (facts.standing, facts.source_types) == ("trusted", ("trainedAlgorithmicMedia",))


async def test_credentials_that_lie_elsewhere_are_not_fetched() -> None:
    """The library would: a stranger's photo would have this service call any address."""
    called: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        xmp = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
            'xmlns:dcterms="http://purl.org/dc/terms/" '
            f'dcterms:provenance="http://127.0.0.1:{port}/jumb.c2pa"/></rdf:RDF></x:xmpmeta>'
        )
        brought = plain(picture(), "JPEG", xmp=xmp.encode())
        assert carries_credentials(brought)
        assert (await read_credentials(brought, "image/jpeg", "")).standing == "unreadable"
    assert called == []


@pytest.mark.parametrize("data", [b"jumb c2pa", b"\xff\xd8\xff\xeb\x00\x20JP\x00\x01jumbc2pa", b""])
async def test_credentials_that_are_none_are_unreadable_and_no_error(data: bytes) -> None:
    assert (await read_credentials(data, "image/jpeg", "")).standing == "unreadable"


NAMES = st.sampled_from(
    [
        *("validation_results", "activeManifest", "failure", "code", "ingredientDeltas", "validationDeltas"),
        *("manifests", "active_manifest", "signature_info", "issuer", "time", "claim_generator_info", "name"),
        *("assertions", "label", "data", "actions", "digitalSourceType"),
    ]
)
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.just("c2pa.actions") | st.just("m"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.just("m"), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON, JSON, JSON)
def test_what_a_manifest_says_of_itself_fits_an_entry_whatever_it_is(
    report: object, signature: object, assertions: object, text: object
) -> None:
    manifest = {
        "signature_info": signature,
        "assertions": assertions,
        "claim_generator_info": [{"name": text}],
    }
    for store in (report, {"active_manifest": "m", "manifests": {"m": manifest}}):
        facts = describe(store)
        for line in (facts.signer, facts.generator):
            assert line is None or (0 < len(line) <= 100 and line.isprintable())
        for code in (*facts.source_types, *([facts.problem] if facts.problem else [])):
            assert re.fullmatch("[A-Za-z][A-Za-z0-9._-]{0,63}", code)
        assert facts.standing in ("unknown_signer", "invalid") and len(facts.source_types) <= 8


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("2026-11-22T14:03:22+00:00", "2026-11-22T14:03:22.000Z"),
        ("2026-11-22T22:03:22.5+08:00", "2026-11-22T14:03:22.500Z"),
        ("2026-11-22T14:03:22", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("soon", None),
        (5, None),
    ],
)
def test_a_time_that_is_none_is_left_out(said: object, found: str | None) -> None:
    store = {"active_manifest": "m", "manifests": {"m": {"signature_info": {"time": said}}}}
    assert describe(store).signed_at == found


@given(st.text(), st.lists(st.text()).map(tuple))
def test_what_passes_between_service_and_worker_comes_out_as_it_went_in(
    text: str, source_types: tuple[str, ...]
) -> None:
    facts = CredentialFacts(standing="invalid", problem=text, source_types=source_types)
    assert parse_facts(encode_facts(facts)[5:]) == facts
    assert encode_frame(FAILED, b"x") == b"\x13\x00\x00\x00\x01x"


def test_an_order_comes_out_as_it_went_in(tmp_path: Path) -> None:
    said = order(make_signer(tmp_path), '{"a":"裂"}')
    assert parse_order(encode_order(said)[5:]) == said
