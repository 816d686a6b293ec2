/** The element with this id. The page always has it: a wrong id or kind is a mistake of ours. */
export function byId<Element extends HTMLElement = HTMLElement>(id: string, kind: { new(): Element } = HTMLElement as unknown as { new(): Element }): Element {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`internal: no ${kind.name} #${id}`);
  return element;
}
