import pg from "pg";
import { Sql } from "./sql.ts";

/**
 * `COPY … FROM STDIN` with its rows, in the text format of PostgreSQL. The rows are in memory and may
 * be split anywhere.
 */
interface CopyRows {
  readonly copy: string;
  readonly rows: readonly Uint8Array[];
}

/**
 * A statement whose completion is reported immediately, while later ones still run. A failed statement
 * is not reported.
 */
interface ToldStatement {
  readonly statement: Sql;
  readonly onDone: () => void;
}

export type Step = Sql | ToldStatement | CopyRows;

export interface StepResult {
  readonly rows: readonly unknown[];
  readonly rowCount: number;
}

/**
 * Runs the steps in order, all sent before the first is answered: one round trip. Stops at the first
 * failure; later steps do not run (PostgreSQL, "Pipelining" in "Extended Query").
 */
export function runTogether(client: pg.ClientBase, steps: readonly Step[]): Promise<readonly StepResult[]> {
  return new Promise((resolve, reject) => {
    client.query(new Together(steps, (error, results) => (error ? reject(error) : resolve(results))));
  });
}

/** The interface of node-postgres for one statement: it writes its messages and reads the responses. */
interface Statement extends pg.Submittable {
  readonly name: string | undefined;
  readonly text: string;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleEmptyQuery(connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
}

interface Connection extends pg.Connection {
  readonly submittedNamedStatements: Record<string, string>;
  sendCopyFail(message: string): void;
}

type Done = (error: Error | null | undefined, results: readonly StepResult[]) => void;

/** Several statements that node-postgres handles as one. Its client calls the members that begin with `handle`. */
class Together implements pg.Submittable {
  /** Wrapped by the client to enforce a time limit. */
  callback: Done;
  readonly steps: readonly (Statement | Copy)[];
  readonly onDone: readonly ((() => void) | undefined)[];
  readonly results: StepResult[] = [];
  failure: Error | undefined;
  /** Index of the step whose response comes next. */
  at = 0;

  constructor(steps: readonly Step[], done: Done) {
    this.callback = done;
    this.steps = steps.map((step) => ("copy" in step ? new Copy(step) : this.#statement(statementOf(step))));
    this.onDone = steps.map((step) => ("onDone" in step ? step.onDone : undefined));
  }

  /** The client uses it to track which statements are prepared. */
  get name(): string | undefined {
    return this.steps[this.at]?.name;
  }

  get text(): string | undefined {
    return this.steps[this.at]?.text;
  }

  submit(connection: pg.Connection): void {
    // Statements end with a Sync, after which an error would not stop the next one. One Sync is sent for
    // all.
    const unsynced = Object.create(connection, { sync: { value: () => {} } }) as pg.Connection;
    connection.stream.cork();
    try {
      for (const [index, step] of this.steps.entries()) {
        step.submit(unsynced);
        // A value could not be serialized, so the following messages are not sent.
        if (this.failure) break;
        // Without a flush, the server buffers its response until the end of the pipeline.
        if (this.onDone[index]) connection.flush();
      }
    } finally {
      connection.sync();
      connection.stream.uncork();
    }
  }

  handleRowDescription(message: unknown): void {
    this.#statementAt()?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#statementAt()?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    this.#statementAt()?.handleCommandComplete(message, connection);
    this.onDone[this.at]?.();
    this.at += 1;
  }

  handleEmptyQuery(): void {
    this.at += 1;
  }

  /** The rows have already been sent. */
  handleCopyInResponse(): void {}

  handleError(error: Error, connection: Connection): void {
    // Statements that did not run were not prepared either.
    for (const { name } of this.steps.slice(this.at)) {
      if (name !== undefined) delete connection.submittedNamedStatements[name];
    }
    this.callback(error, []);
  }

  handleReadyForQuery(connection: Connection): void {
    for (const step of this.steps) {
      if (step instanceof Copy) this.results.push({ rows: [], rowCount: 0 });
      else step.handleReadyForQuery(connection);
    }
    this.callback(this.failure, this.results);
  }

  #statement({ text, values, name }: Sql): Statement {
    const config = { text, values: values as unknown[], ...(name !== undefined && { name }), queryMode: "extended" };
    const done = (error: Error | undefined, result: pg.QueryResult) => {
      this.failure ??= error ?? undefined;
      this.results.push({ rows: result?.rows ?? [], rowCount: result?.rowCount ?? 0 });
    };
    return new pg.Query(config, undefined, done as never) as unknown as Statement;
  }

  #statementAt(): Statement | undefined {
    const step = this.steps[this.at];
    return step instanceof Copy ? undefined : step;
  }
}

function statementOf(step: Sql | ToldStatement): Sql {
  return step instanceof Sql ? step : step.statement;
}

/** Sends the rows without waiting for the server to request them. A server that rejected the COPY skips them. */
class Copy implements pg.Submittable {
  readonly name = undefined;
  readonly text: string;
  readonly #rows: readonly Uint8Array[];

  constructor({ copy, rows }: CopyRows) {
    this.text = copy;
    this.#rows = rows;
  }

  submit(connection: pg.Connection): void {
    connection.parse({ text: this.text, name: "", types: [] }, true);
    connection.bind({}, true);
    connection.execute({}, true);
    for (const rows of this.#rows) {
      connection.stream.write(copyDataHeader(rows.length));
      connection.stream.write(rows);
    }
    connection.stream.write(copyDone);
  }
}

/** The length includes itself, but not the type byte (PostgreSQL, "Message Formats"). */
function copyDataHeader(bytes: number): Buffer {
  const header = Buffer.from([0x64, 0, 0, 0, 0]);
  header.writeUInt32BE(bytes + 4, 1);
  return header;
}

const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);
