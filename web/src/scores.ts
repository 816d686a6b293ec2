/** The table of metrics beside a sharp reference. */
import type { MetricName } from '../../src/metrics/index.js';
import { byId } from './dom.js';
import type { Measured } from './messages.js';

const titles: Partial<Record<MetricName, string>> = { psnr: 'PSNR', ssim: 'SSIM', msssim: 'MS-SSIM', fsim: 'FSIM', vif: 'VIF' };
const text = (metric: MetricName, value: number): string => (metric === 'psnr' ? `${value.toFixed(2)} dB` : value.toFixed(4));

export function showScores({ metrics, before, after }: Measured, strength: number): void {
  const table = document.createElement('table');
  const row = (cells: [string, string, string], heading: boolean, better?: 1 | 2): void => {
    const line = table.insertRow();
    cells.forEach((content, column) => {
      const cell = document.createElement(heading || column === 0 ? 'th' : 'td');
      cell.textContent = content;
      if (heading || column === 0) cell.scope = heading ? 'col' : 'row';
      if (column === better) cell.className = 'better';
      line.append(cell);
    });
  };
  row(['', 'before', 'after'], true);
  for (const metric of metrics) {
    const [first, second] = [before[metric]!, after[metric]!];
    row([titles[metric] ?? metric, text(metric, first), text(metric, second)], false, second > first ? 2 : first > second ? 1 : undefined);
  }
  const caption = table.createCaption();
  caption.textContent = `Against the reference, at strength ${Math.round(strength * 100)} %. More is better.`;
  byId('scores').replaceChildren(table);
}

export function showScoresText(message: string): void {
  const paragraph = document.createElement('p');
  paragraph.className = 'note';
  paragraph.textContent = message;
  byId('scores').replaceChildren(...(message ? [paragraph] : []));
}
