/**
 * Ends a test run with the tests that did not run, and why: a skipped test is a promise nobody checked. And with those that
 * passed only when they were tried again: somebody has to look at them.
 */
export default class SkipReporter {
  onTestRunEnd(modules) {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")]);
    console.log(`${skipped.length} skipped`);
    for (const test of skipped) {
      console.log(`  ${test.module.relativeModuleId} > ${test.fullName}: ${test.result().note ?? "no reason given"}`);
    }
    const flaky = modules.flatMap((module) => [...module.children.allTests("passed")].filter(isFlaky));
    for (const test of flaky) console.log(`tried again: ${test.module.relativeModuleId} > ${test.fullName}`);
  }
}

function isFlaky(test) {
  return test.diagnostic()?.flaky ?? false;
}
