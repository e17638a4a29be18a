"""What the desk offers is what the table of the code allows: `web/may.js` against `LEGAL`."""

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import get_args

from signaling.case import LEGAL, Rule, Standing
from signaling.values import PersonRole

WEB = Path(__file__).parents[2] / "web"
PRINT = "import {MAY} from './may.js'; console.log(JSON.stringify(MAY));"


def offered() -> dict[str, list[str]]:
    """As the page has it."""
    printed = subprocess.run(
        ["node", "--input-type=module", "-e", PRINT], cwd=WEB, check=True, capture_output=True
    )
    return dict(json.loads(printed.stdout))


def kind_of(command: type) -> str:
    """As the protocol names it: what people send has it as a field, what the server brings as a constant."""
    fields = {field.name: field.default for field in dataclasses.fields(command)}
    return str(fields["kind"] if "kind" in fields else vars(command)["kind"])


def is_open_to(rule: Rule | None, kind: str) -> bool:
    """Whether a person with a live link may do it, outside the call too; consent is asked for on the way."""
    least = Standing.CONSENTED if kind == "join" else Standing.ADMITTED
    return rule is not None and "open" in rule.phases and rule.standing <= least


def test_the_desk_offers_each_of_its_roles_what_the_table_of_the_code_allows() -> None:
    legal = {kind_of(command): roles for command, roles in LEGAL.items()}
    for kind, roles in offered().items():
        for role in ("qa", "dispatch"):
            assert role in get_args(PersonRole)
            assert (role in roles) == is_open_to(legal[kind].get(role), kind), (kind, role)
