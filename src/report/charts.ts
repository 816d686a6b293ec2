/** Panels → SVG by Vega-Lite, which needs no browser for it. */
import sharp from 'sharp';
import type { TopLevelSpec } from 'vega-lite';
import type { Panel } from './curves.js';

/** Distinct on white and on near-black; the first eight differ for most colour-blind eyes as well. */
const palette = ['#3b82d0', '#e0762f', '#2e9e73', '#d0567f', '#8a6ad6', '#a5882a', '#27a2b8', '#8b8f98', '#c2452d', '#6aa12d'];

/** The colour of an experiment, by its place among all of them. */
export const colourOf = (index: number): string => palette[index % palette.length];

export interface ChartOptions {
  /** Names of all experiments, in order: the same ones get the same colours in every chart. */
  experiments: readonly string[];
  /** `page`: text takes the colour of the page around it, no legend. `file`: on white, with legend. Default `file`. */
  place?: 'page' | 'file';
  /** Charts beside each other. Default 2. */
  columns?: number;
}

const size = { width: 340, height: 190 };

function panelSpec({ title, curves, reference }: Panel, colour: object): object {
  const values = curves.flatMap(({ run, experiment, points }) => points.map(({ step, value }) => ({ step, value, run, experiment })));
  const single = curves.some(({ points }) => points.length === 1);
  const x = { field: 'step', type: 'quantitative', title: null, axis: { labelExpr: "datum.value < 1000 ? datum.value : datum.value / 1000 + 'k'", tickCount: 5, grid: false } };
  const y = { field: 'value', type: 'quantitative', title: null, scale: { zero: false, padding: 6 }, axis: { tickCount: 5 } };
  const line = { mark: { type: 'line', strokeWidth: 1.6, strokeJoin: 'round', point: single }, encoding: { x, y, color: colour, detail: { field: 'run' } } };
  const rule = reference && {
    data: { values: [{ value: reference.value }] },
    layer: [
      { mark: { type: 'rule', strokeDash: [4, 4], opacity: 0.7 }, encoding: { y: { ...y, axis: undefined } } },
      { mark: { type: 'text', align: 'right', baseline: 'bottom', dy: -3, x: 'width', text: reference.label, opacity: 0.8 }, encoding: { y: { ...y, axis: undefined } } },
    ],
  };
  return { title, ...size, data: { values }, layer: [line, ...(rule ? [rule] : [])] };
}

/** One SVG document of all panels, each with its own vertical scale. */
export async function chartSvg(panels: readonly Panel[], { experiments, place = 'file', columns = 2 }: ChartOptions): Promise<string> {
  // Loaded only here: no other command should wait for it.
  const [{ compile }, { View, parse }] = await Promise.all([import('vega-lite'), import('vega')]);
  const ink = place === 'page' ? 'currentColor' : '#22262b';
  const colour = {
    field: 'experiment', type: 'nominal', scale: { domain: [...experiments], range: experiments.map((_, i) => colourOf(i)) },
    legend: place === 'page' ? null : { orient: 'bottom', direction: 'vertical', columns: 3, title: null, symbolType: 'stroke', symbolStrokeWidth: 3, labelLimit: 260 },
  };
  const spec = {
    background: place === 'page' ? null : 'white',
    padding: place === 'page' ? 2 : 16,
    concat: panels.map((panel) => panelSpec(panel, colour)), columns, spacing: 28,
    config: {
      font: 'system-ui, "DejaVu Sans", sans-serif', view: { stroke: null },
      title: { anchor: 'start', frame: 'group', fontSize: 13, fontWeight: 600, color: ink, offset: 8 },
      axis: { labelColor: ink, labelFontSize: 11, labelOpacity: 0.75, gridColor: ink, gridOpacity: 0.12, domainColor: ink, domainOpacity: 0.35, ticks: false, labelPadding: 6 },
      legend: { labelColor: ink, labelFontSize: 12 }, rule: { color: ink }, text: { color: ink, fontSize: 11 },
    },
  };
  const view = new View(parse(compile(spec as TopLevelSpec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** An SVG document as a PNG of twice its size in pixels. */
export async function svgToPng(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 144 }).png({ palette: true }).toBuffer();
}
