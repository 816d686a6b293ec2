/** Text and tables → HTML and Markdown. Everything that is put into a template is escaped, unless it is HTML already. */
import { gainTitle, type Row, type Table } from './tables.js';

/** A piece of HTML that needs no escaping. */
export class Html {
  constructor(readonly text: string) {}
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character]);

type Insert = Html | string | number | null | undefined | false | readonly Insert[];

function insert(value: Insert): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(insert).join('');
  return escapeHtml(String(value));
}

/** A template whose values are escaped; null, undefined and false leave nothing, lists are joined. */
export function html(strings: TemplateStringsArray, ...values: Insert[]): Html {
  return new Html(strings.reduce((text, part, i) => text + insert(values[i - 1]) + part));
}

/** Which columns hold more than numbers: they are set to the left. */
const columnsOfWords = (columns: readonly string[], rows: readonly Row[]): boolean[] =>
  columns.map((_, column) => column === 0 || rows.some(({ cells }) => cells[column] !== '' && !/^[+−–\d]/.test(cells[column])));

const rowClass = ({ kind }: Row): Html | null => (kind ? html` class="${kind}"` : null);

/** Deviations are set smaller than what they are of. */
function cellHtml(cell: string): Insert {
  const [value, deviation] = cell.split(' ± ');
  return deviation === undefined ? cell : html`${value} <small>± ${deviation}</small>`;
}

/** First column as row headers; columns of words are marked, so that numbers alone are set to the right. */
export function tableHtml({ caption, columns, rows, notes }: Table): Html {
  const wordy = columnsOfWords(columns, rows);
  const cellClass = (column: number): Html | null => (columns[column] === gainTitle ? html` class="gain"` : wordy[column] ? html` class="words"` : null);
  return html`<figure class="table"><div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr>${columns.map((title, column) => html`<th scope="col"${cellClass(column)}>${title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr${rowClass(row)}>${row.cells.map((cell, column) => (column === 0 ? html`<th scope="row">${cell}</th>` : html`<td${cellClass(column)}>${cellHtml(cell)}</td>`))}</tr>
`)}</tbody></table></div>${notes.length > 0 && html`<figcaption>${notes.join(' ')}</figcaption>`}</figure>
`;
}

/** Text as Markdown shows it literally, inside a table too. */
export const escapeMarkdown = (text: string): string => text.replace(/[\\`*_{}[\]<>|#]/g, (character) => `\\${character}`).replace(/\s+/g, ' ');

export function tableMarkdown({ caption, columns, rows, notes }: Table): string {
  const wordy = columnsOfWords(columns, rows);
  const line = (cells: readonly string[], bold = false): string => `| ${cells.map((cell) => (bold && cell ? `**${escapeMarkdown(cell)}**` : escapeMarkdown(cell))).join(' | ')} |`;
  return [
    `**${escapeMarkdown(caption)}**`, '', line(columns), `|${wordy.map((words) => (words ? '---' : '---:')).join('|')}|`,
    ...rows.map(({ cells, kind }) => line(cells, kind === 'best')), '', ...(notes.length > 0 ? [escapeMarkdown(notes.join(' ')), ''] : []),
  ].join('\n');
}
