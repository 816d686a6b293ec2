/** In which settings configurations differ. */

/** A nested object as `a.b.c` → value as text; lists by index. */
function flatten(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path, value === null ? 'none' : String(value)]]);
  const entries = Object.entries(value);
  // A list of numbers, such as betas, reads best whole.
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return new Map([[path, value.join(', ') || 'none']]);
  return new Map(entries.flatMap(([key, inner]) => [...flatten(inner, path === '' ? key : `${path}.${key}`)]));
}

/** The keys that do not have one value in all of the configurations, and each one's values; undefined where a configuration lacks the key. */
export function differences(configs: readonly object[]): { key: string; values: (string | undefined)[] }[] {
  const flat = configs.map((config) => flatten(config));
  const keys = new Set(flat.flatMap((map) => [...map.keys()]));
  return [...keys].map((key) => ({ key, values: flat.map((map) => map.get(key)) })).filter(({ values }) => new Set(values).size > 1);
}
