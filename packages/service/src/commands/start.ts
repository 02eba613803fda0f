import { main } from "../main.ts";
import type { Command } from "./command.ts";

export const start: Command = {
  name: "start",
  summary: "run the service until it is stopped by a signal",
  help: "Runs the service until SIGTERM or SIGINT. `npm start` does the same.",
  operands: [],
  flags: {},
  run: main,
};
