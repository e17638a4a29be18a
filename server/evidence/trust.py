"""What a verifier trusts, as a file: the keys of the log, roots of time-stamping authorities, witnesses.

    {"format": "proofcall-trust", "version": 1,
     "vkeys": ["proofcall.local/log+3d1c...+AT..."],             any of them may have signed
     "roots": ["-----BEGIN CERTIFICATE-----\\n..."],              of time-stamping authorities: PEM, each
                                                               string one or more certificates
     "picture_roots": ["-----BEGIN CERTIFICATE-----\\n..."],      of who signs pictures (C2PA), likewise
     "policy": "witness w1 w1.example+...\\nquorum w1\\n"}         C2SP tlog-policy

Each of the last four may be missing: then nothing is trusted in that respect, and the checks that need it
are named as ones that cannot be made. Whose root vouches for pictures vouches for no time, nor the other way
round: an operator signs its own pictures, and must not be believed about the clock for that. It is JSON in
any spelling, because people write it. Who takes it out of the package that it is to check trusts that
package.
"""

import json
from dataclasses import dataclass

from server.evidence.checkpoint import VerifierKey, encode_key, parse_key
from server.evidence.errors import EvidenceError, MalformedTrust
from server.evidence.policy import Policy, encode_policy, parse_policy

FORMAT = "proofcall-trust"
VERSION = 1
_BEGIN = b"-----BEGIN CERTIFICATE-----"
MAX_SIZE_BYTES = 1 << 20  # hundreds of roots
MAX_ITEMS = 256  # keys, and roots
_MEMBERS = {"format", "version", "vkeys", "roots", "picture_roots", "policy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom a verifier trusts; empty and None: nobody."""

    vkeys: tuple[VerifierKey, ...] = ()
    roots: tuple[bytes, ...] = ()  # of time-stamping authorities, PEM
    picture_roots: tuple[bytes, ...] = ()  # of who signs pictures, PEM
    policy: Policy | None = None


def parse_trust(data: bytes) -> Trust:
    """Read a trust file; raises MalformedTrust, which says what is wrong and what should be there."""
    if len(data) > MAX_SIZE_BYTES:
        raise MalformedTrust(f"a trust file has at most {MAX_SIZE_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedTrust(f"a trust file is JSON, and this is not: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MalformedTrust(f'a trust file is a JSON object with "format": "{FORMAT}"')
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        raise MalformedTrust(f'this version of trust file is not known: "version": {VERSION} is')
    if unknown := sorted(document.keys() - _MEMBERS):
        raise MalformedTrust(
            f"a trust file has no member {unknown[0]!r}; it may have vkeys, roots, picture_roots and policy"
        )
    try:
        vkeys = tuple(parse_key(text.strip()) for text in _texts(document, "vkeys"))
        policy_text = document.get("policy")
        if policy_text is not None and not isinstance(policy_text, str):
            raise MalformedTrust("policy: a text of C2SP tlog-policy is due")
        policy = None if policy_text is None else parse_policy(policy_text)
    except MalformedTrust:
        raise
    except EvidenceError as error:
        raise MalformedTrust(str(error)) from None
    roots, picture_roots = _roots(document, "roots"), _roots(document, "picture_roots")
    return Trust(vkeys=vkeys, roots=roots, picture_roots=picture_roots, policy=policy)


def encode_trust(trust: Trust) -> bytes:
    """The trust file that says so."""
    document: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "vkeys": [encode_key(key) for key in trust.vkeys],
        "roots": [root.decode("ascii", "replace") for root in trust.roots],
    }
    if trust.picture_roots:
        document["picture_roots"] = [root.decode("ascii", "replace") for root in trust.picture_roots]
    if trust.policy is not None:
        document["policy"] = encode_policy(trust.policy)
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _roots(document: dict[str, object], name: str) -> tuple[bytes, ...]:
    roots = tuple(text.encode() for text in _texts(document, name))
    if not all(_BEGIN in root for root in roots):
        raise MalformedTrust(f"{name}: each is a certificate in PEM, from its BEGIN line to its END line")
    return roots


def _texts(document: dict[str, object], name: str) -> list[str]:
    values = document.get(name, [])
    if not isinstance(values, list) or len(values) > MAX_ITEMS:
        raise MalformedTrust(f"{name}: an array of at most {MAX_ITEMS} strings is due")
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(values):
        raise MalformedTrust(f"{name}: an array of strings is due, and this holds something else")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise MalformedTrust(f"{name}: a string has no UTF-8 form") from None
    return texts
