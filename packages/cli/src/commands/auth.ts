import type { Command } from "commander";
import { storeNames } from "../credentials/store.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";

export const addAuth: AddCommands = (auth, { open }) => {
  addLogin(auth.command("login").description("check a secret key and keep it"), { open });

  const save = auth
    .command("save", { hidden: true })
    .description("the same as auth login --key")
    .argument("<key>", "the secret key; - reads it from stdin")
    .action(async (key: string, options) => (await import("./auth-login.ts")).login(open(), { ...options, key }));
  addExamples(addKeeping(save), "sazabi auth save - --store file < key.txt");

  addLogout(auth.command("logout").description("forget this profile's key; the key itself stays valid"), { open });

  addExamples(
    auth.command("status").description("print which key is used, where it comes from, and whether it works"),
    "sazabi auth status",
    "sazabi auth status --profile work --json",
  ).action(async () => (await import("./auth-status.ts")).status(open()));

  auth
    .command("token")
    .description("print the key in use, for another program")
    .option("-y, --yes", "also to a terminal, and without asking")
    .addHelpText(
      "after",
      `
Everything else shows a key masked. This prints it whole, and nothing else, on stdout.

  curl -H "authorization: Bearer $(sazabi auth token)" http://127.0.0.1:4600/v1/me`,
    )
    .action(async (options) => (await import("./auth-token.ts")).token(open(), options));

  auth
    .command("switch")
    .description("choose the profile, and with it the organization, that is used by default")
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
      command.createOption("--store <store>", "where to keep the key (default: keychain)").choices([...storeNames]),
    );

type Open = Pick<Parameters<AddCommands>[1], "open">;

export const addLogin = (login: Command, { open }: Open) => {
  login
    .option("--key <key>", "the secret key; - reads it from stdin, and without --key you are asked for it")
    .addHelpText(
      "after",
      `
A key among the arguments shows in your shell's history. It is better asked for, or read.
It goes to the keychain of the operating system. Where there is none, or it is locked,
nothing is stored; --store file keeps the key in a file that only you can read.

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
