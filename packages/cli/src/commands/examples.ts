import type { Command } from "commander";

/**
 * Command lines for the end of the help. Each can be run as it is (test/acceptance/examples.test.ts), but for the names
 * of keys, projects, profiles and files.
 */
export const addExamples = (command: Command, ...examples: readonly string[]): Command =>
  command.addHelpText("after", `\n${examples.map((example) => `  ${example}`).join("\n")}`);
