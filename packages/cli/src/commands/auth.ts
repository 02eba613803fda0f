import type { Command } from "commander";
import { storeNames } from "../credentials/store.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";

export const addAuth: AddCommands = (auth, { open }) => {
  addLogin(auth.command("login").description("verify a secret key and store it"), { open });

  const save = auth
    .command("save", { hidden: true })
    .description("the same as auth login --key")
    .argument("<key>", "the secret key; - reads it from stdin")
    .action(async (key: string, options) => (await import("./auth-login.ts")).login(open(), { ...options, key }));
  addExamples(addKeeping(save), "sazabi auth save - --store file < key.txt");

  addLogout(auth.command("logout").description("delete this profile's stored key; the key itself stays valid"), {
    open,
  });

  addExamples(
    auth.command("status").description("print which key is used, where it comes from, and whether it works"),
    "sazabi auth status",
    "sazabi auth status --profile work --json",
  ).action(async () => (await import("./auth-status.ts")).status(open()));

  auth
    .command("token")
    .description("print the key in use, for another program")
    .option("-y, --yes", "print to a terminal without confirmation")
    .addHelpText(
      "after",
      `
Prints the whole key, and nothing else, on stdout. Other commands mask it.

  curl -H "authorization: Bearer $(sazabi auth token)" http://127.0.0.1:4600/v1/me`,
    )
    .action(async (options) => (await import("./auth-token.ts")).token(open(), options));

  auth
    .command("switch")
    .description("set the default profile, and with it the organization")
    .argument("[name]", "a profile, or the organization that one is logged in to; without it you are asked")
    .addHelpText(
      "after",
      `
  sazabi auth login --profile work
  sazabi auth switch work`,
    )
    .action(async (name: string | undefined) => (await import("./auth-switch.ts")).switchTo(open(), name));

  addWhoami(auth.command("whoami", { hidden: true }).description("the same as whoami"), { open });
};

const addKeeping = (command: Command) =>
  command
    .option("--key-file <file>", "read the key from a file")
    .addOption(
      command.createOption("--store <store>", "where to store the key (default: keychain)").choices([...storeNames]),
    );

type Open = Pick<Parameters<AddCommands>[1], "open">;

export const addLogin = (login: Command, { open }: Open) => {
  login
    .option("--key <key>", "the secret key; - reads it from stdin, and without --key you are asked for it")
    .addHelpText(
      "after",
      `
A key in the arguments is kept in your shell's history. Use the prompt or stdin instead.
The key is stored in the keychain of the operating system. If there is none, or it is locked,
nothing is stored; --store file stores the key in a file that only you can read.

  sazabi auth login                         asks for the key and does not show it
  sazabi auth login --key - < key.txt       reads it from stdin
  sazabi auth login --key-file key.txt --store file`,
    )
    .action(async (options) => (await import("./auth-login.ts")).login(open(), options));
  addKeeping(login);
};

export const addLogout = (logout: Command, { open }: Open) => {
  addExamples(logout, "sazabi auth logout", "sazabi auth logout --profile work").action(async () =>
    (await import("./auth-logout.ts")).logout(open()),
  );
};

export const addWhoami = (whoami: Command, { open }: Open) => {
  addExamples(whoami, "sazabi whoami").action(async () => (await import("./auth-status.ts")).whoami(open()));
};
