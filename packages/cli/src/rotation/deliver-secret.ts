import { appendFileSync } from "node:fs";
import type { KeyKind } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import { checkEnvFile, isOpenToOthers, keyVariables, type ReplacedKey, setInEnvFile } from "./env-file.ts";

export interface HandOverOptions {
  readonly exec?: string;
  readonly envFile?: string;
  /** Node reads `--env-file` too, wherever it stands, and ends when there is no such file; this one is ours alone. */
  readonly dotenv?: string;
  readonly githubOutput?: boolean;
  readonly stdout?: boolean;
}

/** One way for a new secret to get to where it is used. */
export interface HandOver {
  readonly name: "env-file" | "github-output" | "exec" | "stdout";
  /** Refuses, before anything is changed, what cannot work. */
  check(key: ReplacedKey): void;
  /** May come twice with the same secret. */
  deliver(value: string, key: ReplacedKey): void | Promise<void>;
}

/** The ways that were named, in the order in which they are used; without any, stdout. */
export function handOversOf(session: Session, kind: KeyKind, options: HandOverOptions): readonly HandOver[] {
  const { exec, dotenv, envFile = dotenv, githubOutput, stdout } = options;
  const named = [
    ...(envFile === undefined ? [] : [toEnvFile(session, kind, envFile)]),
    ...(githubOutput ? [toGithubOutput(session)] : []),
    ...(exec === undefined ? [] : [toCommand(session, exec)]),
    ...(stdout ? [toStdout(session)] : []),
  ];
  return named.length > 0 ? named : [toStdout(session)];
}

export function namesHandOver({ exec, envFile, dotenv, githubOutput, stdout }: HandOverOptions): boolean {
  return [exec, envFile, dotenv, githubOutput, stdout].some((way) => way !== undefined);
}

function toEnvFile(session: Session, kind: KeyKind, path: string): HandOver {
  const variable = keyVariables[kind];
  return {
    name: "env-file",
    check: (key) => checkEnvFile(path, variable, key),
    deliver: (value, key) => {
      const names = setInEnvFile(path, variable, value, key);
      session.say(`Handed over: ${names.join(", ")} in ${path}.`);
      if (isOpenToOthers(path)) session.say(`Warning: ${path} is readable by other users (chmod 600 ${path}).`);
    },
  };
}

function toGithubOutput(session: Session): HandOver {
  const path = session.context.env.GITHUB_OUTPUT ?? "";
  return {
    name: "github-output",
    check: () => {
      if (path === "")
        throw usageError("--github-output: GITHUB_OUTPUT is not set; this is no step of GitHub Actions.");
    },
    deliver: (value) => {
      try {
        appendFileSync(path, `key=${value}\n`, { mode: 0o600 });
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        throw new CliError(`Cannot write ${path} (${code}).`, { code: "HAND_OVER_FAILED", cause });
      }
      session.say("Handed over: the output `key` of this step.");
    },
  };
}

function toCommand(session: Session, command: string): HandOver {
  return {
    name: "exec",
    check: () => {
      if (command.trim() === "") throw usageError("--exec needs a command.");
    },
    deliver: async (value) => {
      const { handToCommand } = await import("./command.ts");
      await handToCommand(session.context, command, value);
      session.say("Handed over to the command.");
    },
  };
}

function toStdout(session: Session): HandOver {
  return {
    name: "stdout",
    check: () => {},
    // As JSON it is part of the result.
    deliver: async (value) => {
      if (session.flags.json) return;
      session.out(value);
      await session.context.stdout.drained();
    },
  };
}
