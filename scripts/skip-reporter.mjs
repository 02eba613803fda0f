/**
 * Ends a test run with the skipped tests and their reasons, the tests that passed only on a retry, and one line per
 * failure.
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
