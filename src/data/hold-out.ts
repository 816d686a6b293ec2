/** Which pairs are trained on, and which are held out to choose the best checkpoint by. */
import { resolve } from 'node:path';
import { DataError } from '../errors.js';
import { hashText, randomAt } from '../random.js';
import { goproSequence, type Pair } from './pair.js';

/** A source's pairs before the division: `val` is its own split when it has one; `synthetic` when its blur is made. */
export interface Candidates { path: string; train: Pair[]; val?: Pair[]; synthetic: boolean }

export interface Division { train: Pair[]; validation: Pair[] }

/** The share of scenes that is held out where no source has a `val/`. */
const heldOutShare = 0.05;

/** A number for a name that depends on the seed and on nothing else, so that adding pictures doesn't reshuffle the others. */
function drawFor(seed: number, name: string): number {
  return randomAt(seed, hashText(name)).uniform();
}

/**
 * Divides every source. If one has a `val/`, the `val/` splits are the validation set. Otherwise 5 % of the scenes of each source of
 * real pairs (at least one, never all) are; of synthetic ones only when there are no others. A scene that is held out of one source is
 * taken out of the training pairs of every other: GoPro sequences are known by name, other scenes when the sources share a folder.
 */
export function divide(sources: readonly Candidates[], seed: number): Division[] {
  const hasVal = sources.some(({ val }) => val !== undefined);
  const onlySynthetic = sources.every(({ synthetic }) => synthetic);
  const divisions = sources.map(({ train, val, synthetic }): Division => {
    if (hasVal) return { train, validation: val ?? [] };
    return synthetic && !onlySynthetic ? { train, validation: [] } : holdOut(train, seed);
  });
  const keys = divisions.map(({ validation }, i) => new Set(validation.map(({ scene }) => sceneKey(sources[i], scene))));
  return divisions.map(({ train, validation }, i) => {
    const kept = train.filter(({ scene }) => keys.every((held, k) => k === i || !held.has(sceneKey(sources[i], scene))));
    if (kept.length === 0) {
      throw new DataError(`${sources[i].path}: every pair belongs to a scene that another source holds out for validation; give a source its own val/`);
    }
    return { train: kept, validation };
  });
}

/** Scenes of different folders are different ones, unless their names are GoPro's. */
function sceneKey({ path }: Candidates, scene: string): string {
  return goproSequence(scene) ?? `${resolve(path)}\0${scene}`;
}

function holdOut(pairs: Pair[], seed: number): Division {
  const scenes = [...new Set(pairs.map(({ scene }) => scene))];
  const count = Math.min(scenes.length - 1, Math.max(1, Math.round(scenes.length * heldOutShare)));
  const order = scenes.map((scene) => ({ scene, draw: drawFor(seed, scene) })).sort((a, b) => a.draw - b.draw);
  const held = new Set(order.slice(0, count).map(({ scene }) => scene));
  return { train: pairs.filter(({ scene }) => !held.has(scene)), validation: pairs.filter(({ scene }) => held.has(scene)) };
}

/** Keeps `limit` pairs over all sources, drawn by the seed: the kept ones of a smaller limit are among those of a larger one. */
export function limitTo(limit: number, sources: readonly Pair[][], seed: number): Pair[][] {
  const order = sources.flatMap((pairs, source) => pairs.map((pair) => ({ pair, draw: drawFor(seed, `${source}/${pair.name}`) })));
  const kept = new Set(order.sort((a, b) => a.draw - b.draw).slice(0, limit).map(({ pair }) => pair));
  return sources.map((pairs) => pairs.filter((pair) => kept.has(pair)));
}
