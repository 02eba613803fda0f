/** One value of a metric. Labels have few possible values, never a key, a name or an address. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

type Reading = number | readonly Sample[];
/** Called for each scrape. If it rejects or takes longer than a second, that scrape omits the metric. */
export type ReadMetric = () => Reading | Promise<Reading>;

interface Metric {
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly reads: ReadMetric[];
}

const readTimeoutMs = 1_000;

/**
 * Metrics of one process, in the text format of Prometheus. Each component registers its values under
 * a name. Components count in plain members, so that counting adds no cost to requests. Several
 * components may register samples of one metric.
 */
export class Metrics {
  readonly #metrics = new Map<string, Metric>();

  /** Registers a value that goes up and down. */
  gauge(name: string, help: string, read: ReadMetric): void {
    this.#register(name, "gauge", help, read);
  }

  /** Registers a value that only grows. Its name ends in `_total`. */
  counter(name: string, help: string, read: ReadMetric): void {
    this.#register(name, "counter", help, read);
  }

  #register(name: string, type: Metric["type"], help: string, read: ReadMetric): void {
    const metric = this.#metrics.get(name);
    if (!metric) this.#metrics.set(name, { help, type, reads: [read] });
    else if (metric.type === type) metric.reads.push(read);
    else throw new Error(`The metric ${name} is registered as a ${metric.type} already.`);
  }

  async text(): Promise<string> {
    const blocks = [...this.#metrics].map(async ([name, { help, type, reads }]) => {
      const readings = await Promise.all(reads.map(readInTime));
      const samples = readings.flat();
      if (samples.length === 0) return "";
      const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
    });
    return (await Promise.all(blocks)).join("");
  }
}

async function readInTime(read: ReadMetric): Promise<readonly Sample[]> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<readonly Sample[]>((resolve) => {
    timer = setTimeout(() => resolve([]), readTimeoutMs);
  });
  try {
    const reading = await Promise.race([read(), tooLate]);
    return typeof reading === "number" ? [{ labels: {}, value: reading }] : reading;
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, "_")}"`);
  return texts.length === 0 ? "" : `{${texts.join(",")}}`;
}
