import type { Sample } from "./metrics.ts";

const classes = ["1xx", "2xx", "3xx", "4xx", "5xx"] as const;

/** Counts responses by status class, at the cost of a few additions per request. */
export class RequestCounts {
  readonly #answered = [0, 0, 0, 0, 0];
  inFlight = 0;

  /** Counts a response when it is available, and returns it. */
  count(answer: Response | Promise<Response>): Response | Promise<Response> {
    if (!(answer instanceof Promise)) return this.#add(answer);
    this.inFlight += 1;
    return answer.then(this.#arrived, this.#failed);
  }

  samples(): readonly Sample[] {
    return classes.map((status, index) => ({ labels: { status }, value: this.#answered[index] as number }));
  }

  #arrived = (response: Response): Response => {
    this.inFlight -= 1;
    return this.#add(response);
  };

  #failed = (error: unknown): never => {
    this.inFlight -= 1;
    throw error;
  };

  #add(response: Response): Response {
    const index = Math.floor(response.status / 100) - 1;
    this.#answered[index] = (this.#answered[index] as number) + 1;
    return response;
  }
}
