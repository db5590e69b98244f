// @ts-check
// What the address says of the picture. All that is chosen stands there, so Back, reload and a copied link show the same.

/** Its part of the query; all else in it is left alone. */
const PARTS = [
  'value', 'mode', 'width', 'frames', 'invert', 'function', 'site', 'task', 'await', 'state', 'age', 'kind', 'q', 'root',
];
const DEFAULTS = { value: 'live_bytes', mode: 'change', width: 'tasks', frames: 'own', root: '0', invert: 'false' };

export function state() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(PARTS.map((part) => [part, query.get(part) || DEFAULTS[part] || '']));
}

/** The query of a state, without what is so by default. */
export function query(of) {
  const query = new URLSearchParams();
  for (const part of PARTS) {
    if (of[part] && of[part] !== DEFAULTS[part]) query.set(part, of[part]);
  }
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** What of a state a slice is cut by: one that is searched or zoomed into may be drawn from the same. */
export const cut = (of) => query({ ...of, q: '', root: '' });
