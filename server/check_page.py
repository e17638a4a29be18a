"""The page that checks a package, put together as one file: it opens from a disk, without network or service.

    web/check.html ─┬─ sheets ─────────────▶ <style>                   ┐ named by their hashes in the page's
                    └─ check.js, and all ──▶ <script type="module">,   ┘ own security policy, which allows
                       that it imports       each module a function      nothing else, and no connection

The modules stay as they are written, comments included: whoever does not trust the page reads it. They use
the few forms of import and export that the house style knows; any other is refused here. The same sources
give the same bytes, in every package and at /check.
"""

import base64
import functools
import hashlib
import re
from pathlib import Path

import web

FOLDER = Path(web.__file__).parent
PAGE = "check.html"

_LINK = re.compile(r'^ *<link rel="(?P<kind>[a-z]+)" href="/web/(?P<name>[a-z_.]+)"[^>]*/>\n', re.M)
_SCRIPT = re.compile(r'^ *<script type="module" src="/web/(?P<name>[a-z_]+\.js)"></script>\n', re.M)
_IMPORT = re.compile(r'^import \{(?P<names>[^}]*)\} from "\./(?P<name>[a-z_]+\.js)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.M)
_EXPORTED = re.compile(
    r"^export (?:(?:async )?function\*?|class|const) (?P<one>\w+)|^export const \{(?P<many>[^}]*)\}", re.M
)
_ANY = re.compile(r"^(?:import|export)\b|\bimport\s*\(\s*[\"'][^)]*\)(?!\.)|^await\b", re.M)
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.M | re.S)


@functools.cache
def check_page() -> bytes:
    """The whole page, in UTF-8. Made once: its sources do not change while the service runs."""
    text = (FOLDER / PAGE).read_text(encoding="utf-8")
    style, script, icon = "", "", ""
    for link in _LINK.finditer(text):
        name = link["name"]
        if link["kind"] == "stylesheet":
            style += _read(name)
        elif link["kind"] == "icon":
            icon = f"data:image/svg+xml;base64,{base64.b64encode(_read(name).encode()).decode()}"
    entry = _SCRIPT.search(text)
    assert entry is not None, f"{PAGE} has no module"
    script = "".join(_as_function(name) for name in _in_order(entry["name"]))
    assert "</style" not in style and "</script" not in script and "<!--" not in script
    head = (
        f'    <meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}" />\n'
        f'    <link rel="icon" href="{icon}" type="image/svg+xml" />\n'
        f"    <style>{style}</style>\n"
        f'    <script type="module">{script}</script>\n'
    )
    bare = _SCRIPT.sub("", _LINK.sub("", text))
    return bare.replace("  </head>\n", f"{head}  </head>\n", 1).encode()


@functools.cache
def security_policy() -> str:
    """The Content-Security-Policy of the page, as a header: frames can be refused in a header alone."""
    match = re.search(r'Content-Security-Policy" content="([^"]*)"', check_page().decode())
    assert match is not None
    return f"{match[1]}; frame-ancestors 'none'"


def _policy(style: str, script: str) -> str:
    # Pictures of a package are shown from memory; nothing is fetched, sent or framed, no form leads anywhere.
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _in_order(entry: str) -> list[str]:
    """The modules that one needs, itself included, each after those that it imports."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for found in _IMPORT.finditer(_read(name)):
                visit(found["name"])
            order.append(name)

    visit(entry)
    return order


def _as_function(name: str) -> str:
    """A module as a function that gives what it exports: names that are its own stay its own."""
    source = _read(name)
    exported: list[str] = []
    for found in _EXPORTED.finditer(source):
        exported += [found["one"]] if found["one"] else re.findall(r"\w+", found["many"])
    body = _EXPORT.sub("", _IMPORT.sub(_as_constants, source))
    rest = _ANY.search(_COMMENT.sub("", body))
    assert rest is None, f"{name}: {rest and rest[0]!r} is no import or export that the check page knows"
    given = ", ".join(exported)
    return f"\n// ---- {name}\nconst {_constant(name)} = (() => {{\n{body}\nreturn {{ {given} }};\n}})();\n"


def _as_constants(found: re.Match[str]) -> str:
    names = re.sub(r"\bas\b", ":", found["names"])
    return f"const {{{names}}} = {_constant(found['name'])};\n"


def _constant(name: str) -> str:
    return f"${name.removesuffix('.js')}"
