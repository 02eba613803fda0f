import type { AddCommands } from "./command.ts";

interface Group {
  readonly name: string;
  readonly description: string;
  /** An alias for commands that are listed elsewhere. */
  readonly hidden?: boolean;
  readonly load: () => Promise<AddCommands>;
}

/** The top-level commands. Each module is loaded on use. */
export const groups: readonly Group[] = [
  {
    name: "auth",
    description: "log in and out, and see who you are",
    load: async () => (await import("./auth.ts")).addAuth,
  },
  {
    name: "whoami",
    description: "print the organization and key in use",
    load: async () => (await import("./auth.ts")).addWhoami,
  },
  {
    name: "login",
    description: "the same as auth login",
    hidden: true,
    load: async () => (await import("./auth.ts")).addLogin,
  },
  {
    name: "logout",
    description: "the same as auth logout",
    hidden: true,
    load: async () => (await import("./auth.ts")).addLogout,
  },
  {
    name: "keys",
    description: "create, list, change, rotate and revoke keys",
    load: async () => (await import("./keys.ts")).addKeys,
  },
  {
    name: "secret-keys",
    description: "the same as keys secret-keys",
    hidden: true,
    load: async () => (await import("./keys.ts")).addSecretKeys,
  },
  {
    name: "public-keys",
    description: "the same as keys public-keys",
    hidden: true,
    load: async () => (await import("./keys.ts")).addPublicKeys,
  },
  {
    name: "audit",
    description: "view and verify the audit log",
    load: async () => (await import("./audit.ts")).addAudit,
  },
  {
    name: "logs",
    description: "find, follow, count and send logs",
    load: async () => (await import("./logs.ts")).addLogs,
  },
  {
    name: "projects",
    description: "list and create projects, and choose one",
    load: async () => (await import("./projects.ts")).addProjects,
  },
  {
    name: "organizations",
    description: "list organizations",
    load: async () => (await import("./organizations.ts")).addOrganizations,
  },
  {
    name: "threads",
    description: "list conversations",
    load: async () => (await import("./threads.ts")).addThreads,
  },
  {
    name: "profiles",
    description: "manage profiles",
    load: async () => (await import("./profiles.ts")).addProfiles,
  },
  {
    name: "config",
    description: "read and change settings",
    load: async () => (await import("./config.ts")).addConfig,
  },
  {
    name: "completion",
    description: "print the script that completes commands in your shell",
    load: async () => (await import("./completion.ts")).addCompletion,
  },
  {
    name: "api",
    description: "send any request with your key",
    load: async () => (await import("./api.ts")).addApi,
  },
  {
    name: "open",
    description: "open the dashboard or the documentation",
    load: async () => (await import("./open.ts")).addOpen,
  },
  {
    name: "doctor",
    description: "check settings, key and connection",
    load: async () => (await import("./doctor.ts")).addDoctor,
  },
];
