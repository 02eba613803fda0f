/** Ends a test run with the tests that did not run, and why: a skipped test is a promise nobody checked. */
export default class SkipReporter {
  onTestRunEnd(modules) {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")]);
    console.log(`${skipped.length} skipped`);
    for (const test of skipped) {
      console.log(`  ${test.module.relativeModuleId} > ${test.fullName}: ${test.result().note ?? "no reason given"}`);
    }
  }
}
