// @ts-check
/**
 * `node package_reports.js FOLDER`: what the page finds in each package of a folder, in English, as JSON: for
 * `test_package_agreement.py`. FOLDER/packages.json lists [name, key or trust file from
 * elsewhere or null, name of a file to compare with or null].
 */

import { openAsBlob } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CHECK_WORDS } from "../../web/check_words.js";
import { checkPackage, withOther } from "../../web/package_check.js";
import { NOBODY, parseTrust } from "../../web/package_trust.js";
import { tell } from "../../web/said.js";

const folder = process.argv[2] ?? "";
const words = CHECK_WORDS.en;

/** @param {import("../../web/package_check.js").Finding} finding */
const told = ({ said, member, entry }) => ({ message: tell(said, words.sentences), member, entry });

/** @type {[string, string | null, string | null][]} */
const packages = JSON.parse(await readFile(join(folder, "packages.json"), "utf8"));
/** @type {Record<string, unknown>} */
const reports = {};
for (const [name, text, other] of packages) {
  const trust = text === null ? NOBODY : parseTrust(text);
  const alone = await checkPackage(await openAsBlob(join(folder, name)), trust);
  const report = other === null ? alone : await withOther(alone, await openAsBlob(join(folder, other)));
  reports[name] = {
    passed: report.passed,
    undecided: !report.passed && report.steps.every(({ outcome }) => outcome !== "failed"),
    case_id: report.case_id,
    entries: report.entries,
    tree_size: report.tree_size,
    vkey: report.vkey,
    unshown_pictures: report.unshown_pictures,
    steps: report.steps.map((step) => ({
      number: step.number,
      name: words.step[step.name],
      outcome: step.outcome,
      message: tell(step.message, words.sentences),
      findings: step.findings.map(told),
      unmade: step.unmade.map(told),
    })),
  };
}
process.stdout.write(JSON.stringify(reports));
