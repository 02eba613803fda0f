import type { AddCommands } from "./command.ts";
import { type Shell, shells } from "./completion-scripts.ts";

export const addCompletion: AddCommands = (completion, { open }) => {
  completion
    .addArgument(completion.createArgument("<shell>", "the shell that you type in").choices(shells))
    .addHelpText(
      "after",
      `
Completes commands, options, profiles, and the names and ids of keys and projects, for which it
asks the service for at most a second.

  source <(sazabi completion bash)                        in ~/.bashrc
  source <(sazabi completion zsh)                         in ~/.zshrc, after compinit
  sazabi completion fish > ~/.config/fish/completions/sazabi.fish
  sazabi completion powershell | Out-String | Invoke-Expression`,
    )
    .action(async (shell: Shell) => (await import("./completion-print.ts")).print(open(), shell));
};
