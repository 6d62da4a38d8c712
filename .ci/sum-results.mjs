/**
 * Adds up vitest's JSON reports and prints `N passed, N failed[, N skipped]`.
 *
 * A report that is missing counts as one failure, and so does a test file that failed as a whole (it did
 * not load, or a hook threw): no test of it ran to be counted. Exits with 1 on a failure or without any test.
 */

import { readFileSync } from "node:fs";

const totals = { passed: 0, failed: 0, skipped: 0 };
const columnOf = {
  passed: "passed",
  failed: "failed",
  skipped: "skipped",
  pending: "skipped",
  todo: "skipped",
};

/** Adds one test file's results to the totals. */
function addFile({ name, status, message, assertionResults }) {
  const failedBefore = totals.failed;
  for (const { status: testStatus } of assertionResults) totals[columnOf[testStatus] ?? "failed"]++;
  if (status === "failed" && totals.failed === failedBefore) {
    totals.failed++;
    console.log(`${name} failed as a whole: ${message}`);
  }
}

/** Adds one report; what failed outside every test (an error after its end, say) counts as one failure. */
function addReport({ success, testResults }) {
  const failedBefore = totals.failed;
  testResults.forEach(addFile);
  if (!success && totals.failed === failedBefore) totals.failed++;
}

for (const path of process.argv.slice(2)) {
  try {
    addReport(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    totals.failed++;
    console.log(`No test results in ${path}: ${error.message}`);
  }
}

const ranCount = totals.passed + totals.failed;
if (ranCount === 0) console.log("No test ran.");
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exitCode = ranCount === 0 || totals.failed > 0 ? 1 : 0;
