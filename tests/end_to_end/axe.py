"""axe-core, in a page as it is at this moment: what it finds wrong for people who do not see or point."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")

RUN = """async () => {
  const found = await window.axe.run(document, {resultTypes: ['violations']});
  return found.violations.map(({id, impact, help, nodes}) => ({
    id, impact, help, at: nodes.map(({target, failureSummary}) => `${target.join(' ')}: ${failureSummary}`),
  }));
}"""


async def findings(page: Page) -> list[dict[str, Any]]:
    """Everything that axe-core holds against the page. Not `add_script_tag`: the page's policy forbids it."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = await page.evaluate(RUN)
    return found


async def check(page: Page, state: str) -> None:
    """Fails with what is serious or critical; `state` says what the page shows."""
    grave = [found for found in await findings(page) if found["impact"] in GRAVE]
    told = [f"{found['id']} ({found['help']})\n  " + "\n  ".join(found["at"]) for found in grave]
    assert not grave, f"{state}:\n" + "\n".join(told)
