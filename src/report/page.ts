/** The page: one HTML document with everything inside it, so that it opens from disk and can be mailed. */
import sharp from 'sharp';
import type { RgbImage } from '../image/image.js';
import { colourOf } from './charts.js';
import { Html, html, tableHtml } from './html.js';
import { script, style } from './page-style.js';
import type { Table } from './tables.js';

/** One picture as blurred, as it was, and as each run made it; PSNR in dB against the sharp one, of the whole picture. */
export interface ShownPicture {
  name: string;
  blur: { image: RgbImage; psnr: number };
  sharp: RgbImage;
  generated: { label: string; image: RgbImage; psnr: number }[];
}

export interface PageSet { title: string; lead: string; tables: Table[]; pictures: ShownPicture[] }

export interface Page {
  sets: PageSet[];
  /** In the order of their colours. */
  experiments: readonly string[];
  /** SVG documents. */
  validation: string | null;
  losses: readonly string[];
  /** How curves were thinned; empty when they were not. */
  thinned: string;
  cost: Table;
  different: Table | null;
  configs: { label: string; yaml: string }[];
  conventions: string[];
  machines: { machine: string; runs: string[] }[];
  /** The machine that made the page. */
  here: string;
  command?: string;
  failed: readonly { name: string; message: string }[];
  date: string;
}

async function embedded(image: RgbImage, alt: string): Promise<Html> {
  const { width, height, data } = image;
  const webp = await sharp(data, { raw: { width, height, channels: 3 } }).webp({ quality: 90, smartSubsample: true }).toBuffer();
  return html`<img src="data:image/webp;base64,${webp.toString('base64')}" width="${width}" height="${height}" alt="${alt}">`;
}

async function pictureRow({ name, blur, sharp: target, generated }: ShownPicture): Promise<Html> {
  const cell = async (image: RgbImage, title: string, detail: string): Promise<Html> =>
    html`<figure><span class="lens">${await embedded(image, `${name}: ${title}`)}</span><figcaption>${title}<small>${detail}</small></figcaption></figure>`;
  const cells = [
    await cell(blur.image, 'blurry input', `${blur.psnr.toFixed(2)} dB`), await cell(target, 'sharp', ''),
    ...await Promise.all(generated.map(({ label, image, psnr }) => cell(image, label, `${psnr.toFixed(2)} dB, ${psnr >= blur.psnr ? '+' : '−'}${Math.abs(psnr - blur.psnr).toFixed(2)}`))),
  ];
  return html`<h4>${name}</h4><div class="pictures" tabindex="0" role="group" aria-label="${name}">${cells}</div>`;
}

const legend = (experiments: readonly string[]): Html =>
  html`<ul class="legend">${experiments.map((name, i) => html`<li><span class="swatch" style="background:${colourOf(i)}"></span>${name}</li>`)}</ul>`;

/** The document's text. */
export async function pageHtml(page: Page): Promise<string> {
  const { sets, experiments, validation, losses, thinned, cost, different, configs, conventions, machines, here, command, failed, date } = page;
  const pictures = await Promise.all(sets.flatMap(({ title, pictures: shown }) => (shown.length === 0 ? [] : [
    Promise.all(shown.map(pictureRow)).then((rows) => html`<h3>${title}</h3>${rows}`),
  ])));
  const sections: [id: string, title: string, body: Html | null][] = [
    ['results', 'Results', html`
${failed.length > 0 && html`<div class="warning"><strong>Failed</strong><ul>${failed.map(({ name, message }) => html`<li>${name}: ${message}</li>`)}</ul></div>`}
${sets.length === 0 && html`<p class="warning">No run could be measured; the reasons stand under Runs.</p>`}
${sets.map(({ title, lead, tables }, index) => html`<h3>${title}</h3>${index > 0 && html`<p>${lead}</p>`}${tables.map(tableHtml)}`)}`],
    ['curves', 'Curves', validation || losses.length > 0 ? html`${legend(experiments)}
<div class="charts">${validation && html`<figure>${new Html(validation)}</figure>`}${losses.map((svg) => html`<figure>${new Html(svg)}</figure>`)}</div>
<p class="aside">Horizontally: training steps. Losses are named as in the runs' logs, before weighting. Seeds of an experiment share its colour. ${thinned}</p>` : html`<p>No run has logged a step.</p>`],
    ['pictures', 'Pictures', pictures.length > 0 ? html`
<p class="aside">Move over a picture, or tap it, to enlarge the same place in all of its row. PSNR is of the whole picture; large ones are shown by their centre. The files in <code>panels/</code> are lossless.</p>${pictures}` : null],
    ['runs', 'Runs', html`${tableHtml(cost)}${different && tableHtml(different)}
<details><summary>All settings of each run</summary>${configs.map(({ label, yaml }) => html`<h4>${label}</h4><pre tabindex="0">${yaml}</pre>`)}</details>`],
    ['provenance', 'How this was made', html`${command && html`<pre tabindex="0">${command}</pre>`}
<dl>${machines.map(({ machine, runs }) => html`<dt>${runs.join(', ')}</dt><dd>${machine}</dd>`)}<dt>this page</dt><dd>${here}; ${date}</dd></dl>
<h3>What the numbers are</h3><ul class="aside">${conventions.map((line) => html`<li>${line}</li>`)}</ul>`],
  ];
  const shown = sections.filter(([, , body]) => body !== null);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Deblurring results: ${experiments.join(', ')}</title>
<style>${new Html(style)}</style>
</head>
<body>
<header><p class="kicker">unshake</p><h1>Deblurring results</h1>
<p class="lead">${sets.length > 0 ? `${sets[0].title}. ${sets[0].lead}` : 'Nothing was measured.'}</p>
<nav>${shown.map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav></header>
<main>${shown.map(([id, title, body]) => html`<section id="${id}"><h2>${title}</h2>${body}</section>
`)}</main>
<script>${new Html(script)}</script>
</body>
</html>
`.text;
}
