/** The rows that the student report published, to stand beside ours. */
import type { Scores } from '../metrics/index.js';

/** Of what, and how: printed with every published row. */
export const publishedOn = 'published by the report: 534 centre crops of five GoPro test sequences, protocol report; other pictures, so not comparable directly';

/** By the beginning of an experiment's name. The report prints no numbers of its Experiment 2, and no row of the blurry input. */
const published: readonly { experiment: string; title: string; scores: Scores }[] = [
  { experiment: 'report-original', title: 'Original', scores: { psnr: 21.01, ssim: 0.789, msssim: 0.904, fsimc: 0.891, vif: 0.412 } },
  { experiment: 'report-exp1', title: 'Experiment 1', scores: { psnr: 23.47, ssim: 0.8438, msssim: 0.948, fsimc: 0.903, vif: 0.506 } },
  { experiment: 'report-exp3', title: 'Experiment 3', scores: { psnr: 22.022, ssim: 0.819, msssim: 0.9316, fsimc: 0.8972, vif: 0.536 } },
  { experiment: 'report-exp4', title: 'Experiment 4', scores: { psnr: 23.51, ssim: 0.8396, msssim: 0.947, fsimc: 0.9, vif: 0.503 } },
];

/** The published row of an experiment of that name, where there is one. */
export function publishedRow(name: string): { title: string; scores: Scores } | null {
  return published.find(({ experiment }) => name === experiment || name.startsWith(`${experiment}-`)) ?? null;
}
