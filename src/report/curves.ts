/** What a run logged, as curves: one for each loss, thinned where there are more points than a plot can show. */
/** A line of log.jsonl. */
export type Logged = Readonly<Record<string, number>>;

export interface Point { step: number; value: number }

/** One line of a chart. Runs of one experiment share its colour. */
export interface Curve { run: string; experiment: string; points: Point[] }

/** One chart. `reference` is drawn as a dashed horizontal line. */
export interface Panel { title: string; curves: Curve[]; reference?: { label: string; value: number } }

/** What a curve is drawn from. */
export interface LoggedRun { label: string; experiment: string; log: readonly Logged[] }

/** At most this many points a curve; more are averaged over equal stretches of steps. */
export const mostPoints = 100;

/** Keys of a log that are not losses. */
const bookkeeping = new Set(['step', 'seconds', 'imagesPerSecond', 'effectiveBatch', 'validationPsnr', 'validationInputPsnr']);

/** Names of the losses of all runs, in the order in which they were first logged. */
function lossNames(runs: readonly LoggedRun[]): string[] {
  return [...new Set(runs.flatMap(({ log }) => log.flatMap((entry) => Object.keys(entry).filter((key) => !bookkeeping.has(key)))))];
}

/** The logged values of one name; steps at which it was not logged, or was not a finite number, are left out. */
function pointsOf(log: readonly Logged[], name: string): Point[] {
  return log.flatMap((entry) => (Number.isFinite(entry[name]) ? [{ step: entry.step, value: entry[name] }] : []));
}

/**
 * Not more than `most` points: those given, or means over stretches of equally many of them, each at its last step but the first,
 * which keeps the first step. So a curve begins and ends where the run does.
 */
export function thin(points: readonly Point[], most = mostPoints): Point[] {
  if (points.length <= most) return [...points];
  return Array.from({ length: most }, (_, k) => {
    const stretch = points.slice(Math.floor((k * points.length) / most), Math.floor(((k + 1) * points.length) / most));
    const value = stretch.reduce((sum, point) => sum + point.value, 0) / stretch.length;
    return { step: (k === 0 ? stretch[0] : stretch[stretch.length - 1]).step, value };
  });
}

function curvesOf(runs: readonly LoggedRun[], name: string): Curve[] {
  return runs.map(({ label, experiment, log }) => ({ run: label, experiment, points: thin(pointsOf(log, name)) })).filter(({ points }) => points.length > 0);
}

/** One chart a loss, of both players. */
export function lossPanels(runs: readonly LoggedRun[]): Panel[] {
  return lossNames(runs).map((name) => ({ title: name, curves: curvesOf(runs, name) })).filter(({ curves }) => curves.length > 0);
}

/** PSNR on the held-out pairs over the run, where any run has validated; the blurry input's own value where it is the same for all. */
export function validationPanel(runs: readonly LoggedRun[]): Panel | null {
  const curves = curvesOf(runs, 'validationPsnr');
  if (curves.length === 0) return null;
  const inputs = [...new Set(runs.flatMap(({ log }) => pointsOf(log, 'validationInputPsnr').map(({ value }) => value)))];
  return { title: 'PSNR on the held-out pairs, dB', curves, ...(inputs.length === 1 && { reference: { label: 'blurry input', value: inputs[0] } }) };
}
