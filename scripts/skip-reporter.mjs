/**
 * Ends a test run with the tests that did not run, and why: a skipped test is a promise nobody checked. And with those that
 * passed only when they were tried again: somebody has to look at them. And with what failed, a line each, for a reader who
 * has no more of the output than that.
 */
export default class SkipReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")]);
    console.log(`${skipped.length} skipped`);
    for (const test of skipped) {
      console.log(`  ${test.module.relativeModuleId} > ${test.fullName}: ${test.result().note ?? "no reason given"}`);
    }
    const flaky = modules.flatMap((module) => [...module.children.allTests("passed")].filter(isFlaky));
    for (const test of flaky) console.log(`tried again: ${test.module.relativeModuleId} > ${test.fullName}`);
    for (const module of modules) {
      for (const error of module.errors()) sayFailed(module.relativeModuleId, error);
      for (const suite of module.children.allSuites()) {
        for (const error of suite.errors()) sayFailed(`${module.relativeModuleId} > ${suite.fullName}`, error);
      }
      for (const test of module.children.allTests("failed")) {
        sayFailed(`${module.relativeModuleId} > ${test.fullName}`, test.result().errors.at(-1));
      }
    }
    for (const error of unhandledErrors) sayFailed("nobody waited for it", error);
  }
}

function isFlaky(test) {
  return test.diagnostic()?.flaky ?? false;
}

function sayFailed(what, error) {
  console.log(`failed: ${what}: ${(error?.message ?? "no reason given").replaceAll(/\s+/g, " ").slice(0, 200)}`);
}
