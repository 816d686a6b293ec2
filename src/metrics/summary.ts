/** Means and deviations of many pairs' scores. */
import type { Scores } from './index.js';

/** `std` is the population's standard deviation (divided by n). */
export interface Summary { mean: Scores; std: Scores }

/** Summary of at least one set of scores, all of the same metrics. */
export function summarise(scores: readonly Scores[]): Summary {
  const names = Object.keys(scores[0]) as (keyof Scores)[];
  const mean: Scores = {}, std: Scores = {};
  for (const name of names) {
    const values = scores.map((score) => score[name] as number);
    const centre = values.reduce((a, b) => a + b, 0) / values.length;
    mean[name] = centre;
    std[name] = Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length);
  }
  return { mean, std };
}
