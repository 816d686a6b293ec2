/** What must stand beside a run's numbers, so that nobody takes them for others. */
import type { Config } from '../config.js';
import { claimedBy } from '../weights/catalogue.js';
import { perceptualName } from './perceptual.js';

/** Remarks on a run's losses for tables and pages; none when it trains what its experiment says. */
export function lossNotes({ fidelity, losses: { perceptual } }: Config): string[] {
  const notes: string[] = [];
  if (perceptual) {
    const { type, backbone, heads } = perceptual;
    const name = perceptualName(perceptual);
    const own = [backbone, type === 'lpips' ? heads : null].filter((path) => path !== null && claimedBy(path) === null);
    if (own.length > 0) notes.push(`${name} with weights from ${own.join(' and ')}: not the report's loss`);
  }
  if (fidelity === 'as-coded') notes.push("as coded: with the slips of the report's program");
  return notes;
}

/** Whether a gradient that rewards looking sharp, not being near the sharp picture, reached the generator. */
export function learnsFromLooks({ discriminator, losses: { adversarial, perceptual } }: Config): boolean {
  return (discriminator !== null && adversarial.weight > 0 && !adversarial.detachFake) || (perceptual !== null && perceptual.weight > 0);
}
