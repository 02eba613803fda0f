import { Clusters, templateOf } from "./clusters.ts";
import { type MinedPattern, minedPattern } from "./miner.ts";

export interface CountedTemplate extends MinedPattern {
  readonly entries: number;
}

/**
 * The pattern that each template belongs to, by its id. Templates become more general while they are learned, and
 * processes learn in different orders: here they are grouped once more, all of them at once, the most frequent first. So
 * an entry is counted once, in the pattern that its template has become.
 */
export function mergeTemplates(templates: readonly CountedTemplate[]): ReadonlyMap<number, MinedPattern> {
  const clusters = new Clusters();
  const placed = [...templates]
    .sort((a, b) => b.entries - a.entries || a.id - b.id)
    .map((template) => {
      const words = template.template.split(" ");
      return { template, words, cluster: clusters.place(words) };
    });
  return new Map(
    placed.map(({ template, words, cluster }) => [
      template.id,
      cluster ? minedPattern(templateOf(cluster, words)) : { id: template.id, template: template.template },
    ]),
  );
}
