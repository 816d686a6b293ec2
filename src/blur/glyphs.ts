/**
 * A small alphabet of strokes (our own, on a grid 4 wide and 6 tall, y down), so that generated scenes carry lettering
 * without any font file: readable edges are where blur is seen first.
 */

/** Strokes of a letter, each a run of "xy" points; two runs are parted by a blank. */
const letters: Readonly<Record<string, string>> = {
  A: '06 20 46|14 34', B: '06 00 30 41 42 33 03|33 44 45 36 06', C: '41 30 10 01 05 16 36 45', D: '06 00 20 42 44 26 06',
  E: '40 00 06 46|03 33', F: '40 00 06|03 33', G: '41 30 10 01 05 16 36 45 43 23', H: '00 06|40 46|03 43', I: '20 26|10 30|16 36',
  J: '40 45 36 16 05', K: '00 06|40 03 46', L: '00 06 46', M: '06 00 23 40 46', N: '06 00 46 40', O: '10 30 41 45 36 16 05 01 10',
  P: '06 00 30 41 42 33 03', Q: '10 30 41 45 36 16 05 01 10|24 46', R: '06 00 30 41 42 33 03|23 46', S: '41 30 10 01 02 13 33 44 45 36 16 05',
  T: '00 40|20 26', U: '00 05 16 36 45 40', V: '00 26 40', W: '00 16 22 36 40', X: '00 46|40 06', Y: '00 23 40|23 26', Z: '00 40 06 46',
  0: '10 30 41 45 36 16 05 01 10|41 05', 1: '01 20 26|06 46', 2: '01 10 30 41 42 06 46', 3: '01 10 30 41 42 33 44 45 36 16 05|13 33',
  4: '36 30 04 44', 5: '40 00 02 32 43 45 36 06', 6: '30 10 01 05 16 36 45 44 33 03', 7: '00 40 16', 8: '10 30 41 42 33 13 02 01 10|13 04 05 16 36 45 44 33', 9: '43 13 02 01 10 30 41 45 36 16',
};

export type Stroke = readonly (readonly [number, number])[];

/** Every stroke of `text` (A–Z, 0–9; others leave a gap) with its middle at (0, 0), capital letters `height` tall. */
export function strokesOf(text: string, height: number): Stroke[] {
  const unit = height / 6, advance = 5.6 * unit;
  const left = -(text.length * advance - 1.6 * unit) / 2;
  return [...text].flatMap((letter, i) => (letters[letter]?.split('|') ?? []).map((run) => run.split(' ').map((point) => [
    left + i * advance + Number(point[0]) * unit, Number(point[1]) * unit - height / 2] as const)));
}

/** Width in pixels of `text` set by strokesOf. */
export function widthOf(text: string, height: number): number {
  return (text.length * 5.6 - 1.6) * height / 6;
}
