import type { Command } from "commander";

/**
 * Adds examples to the help. Each runs as printed (test/acceptance/examples.test.ts), except for the names of keys,
 * projects, profiles and files.
 */
export const addExamples = (command: Command, ...examples: readonly string[]): Command =>
  command.addHelpText("after", `\n${examples.map((example) => `  ${example}`).join("\n")}`);
