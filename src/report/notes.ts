/** What a reader must know of a run's losses. */
import type { Config } from '../config.js';

export const lossNotes = (_config: Config): string[] => [];
