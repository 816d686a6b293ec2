/** Settings before they are checked: nested groups of keys, laid over each other and changed by `key=value` assignments. */
import { parse } from 'yaml';
import { ConfigError, messageOf } from './errors.js';

/** Settings as a file has them: not checked yet. */
export type Group = Record<string, unknown>;
export const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a group becomes another kind: then the settings of the old one say nothing about it. A type that was left to its default is none. */
const changesType = (before: unknown, after: unknown): boolean => before !== undefined && after !== undefined && before !== after;

/** `changes` over `base`, group by group. A group that changes its `type` starts anew. */
export function merge(base: Group, changes: Group): Group {
  const merged = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const old = base[key];
    const anew = !isGroup(old) || !isGroup(value) || changesType(old.type, value.type);
    merged[key] = anew ? value : merge(old, value);
  }
  return merged;
}

/** `settings` with `a.b.c=value` set; a group whose `type` changes starts anew, as in merge(). Throws ConfigError when it is no assignment, or a value lies in the way. */
export function assign(settings: Group, assignment: string): Group {
  const at = assignment.indexOf('=');
  if (at < 1) throw new ConfigError(`--set ${assignment}: expected key=value, for example --set optimizer.lr=1e-4`);
  let value: unknown;
  try {
    value = parse(assignment.slice(at + 1));
  } catch (error) {
    throw new ConfigError(`--set ${assignment}: the value is not valid YAML (${messageOf(error).replace(/:$/, '')}); expected for example 2, true, [1, 2] or {type: l1}`, { cause: error });
  }
  const within = (holder: Group, [key, ...deeper]: string[]): Group => {
    if (deeper.length === 0) return key === 'type' && changesType(holder.type, value) ? { type: value } : { ...holder, [key]: value };
    const inner = holder[key] ?? {};
    if (!isGroup(inner)) throw new ConfigError(`--set ${assignment}: ${key} is not a group of settings`);
    return { ...holder, [key]: within(inner, deeper) };
  };
  return within(settings, assignment.slice(0, at).split('.'));
}
