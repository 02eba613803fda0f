import { appendFileSync } from "node:fs";
import type { KeyKind } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import { checkEnvFile, isOpenToOthers, keyVariables, type ReplacedKey, setInEnvFile } from "./env-file.ts";

export interface DeliveryOptions {
  readonly exec?: string;
  readonly envFile?: string;
  /**
   * Node also parses `--env-file`, anywhere on the command line, and exits if the file is missing. It does not parse
   * `--dotenv`.
   */
  readonly dotenv?: string;
  readonly githubOutput?: boolean;
  readonly stdout?: boolean;
}

/** A destination for a new secret. */
export interface SecretDelivery {
  readonly name: "env-file" | "github-output" | "exec" | "stdout";
  /** Throws before anything is changed if delivery cannot work. */
  check(key: ReplacedKey): void;
  /** May be called twice with the same secret. */
  deliver(value: string, key: ReplacedKey): void | Promise<void>;
}

/** Returns the requested destinations in the order of use; stdout if there is none. */
export function deliveriesOf(session: Session, kind: KeyKind, options: DeliveryOptions): readonly SecretDelivery[] {
  const { exec, dotenv, envFile = dotenv, githubOutput, stdout } = options;
  const named = [
    ...(envFile === undefined ? [] : [toEnvFile(session, kind, envFile)]),
    ...(githubOutput ? [toGithubOutput(session)] : []),
    ...(exec === undefined ? [] : [toCommand(session, exec)]),
    ...(stdout ? [toStdout(session)] : []),
  ];
  return named.length > 0 ? named : [toStdout(session)];
}

export function namesDelivery({ exec, envFile, dotenv, githubOutput, stdout }: DeliveryOptions): boolean {
  return [exec, envFile, dotenv, githubOutput, stdout].some((way) => way !== undefined);
}

function toEnvFile(session: Session, kind: KeyKind, path: string): SecretDelivery {
  const variable = keyVariables[kind];
  return {
    name: "env-file",
    check: (key) => checkEnvFile(path, variable, key),
    deliver: (value, key) => {
      const names = setInEnvFile(path, variable, value, key);
      session.say(`Delivered: ${names.join(", ")} in ${path}.`);
      if (isOpenToOthers(path)) session.say(`Warning: ${path} is readable by other users (chmod 600 ${path}).`);
    },
  };
}

function toGithubOutput(session: Session): SecretDelivery {
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
      session.say("Delivered: the output `key` of this step.");
    },
  };
}

function toCommand(session: Session, command: string): SecretDelivery {
  return {
    name: "exec",
    check: () => {
      if (command.trim() === "") throw usageError("--exec needs a command.");
    },
    deliver: async (value) => {
      const { handToCommand } = await import("./command.ts");
      await handToCommand(session.context, command, value);
      session.say("Delivered to the command.");
    },
  };
}

function toStdout(session: Session): SecretDelivery {
  return {
    name: "stdout",
    check: () => {},
    // In JSON it is part of the result.
    deliver: async (value) => {
      if (session.flags.json) return;
      session.out(value);
      await session.context.stdout.drained();
    },
  };
}
