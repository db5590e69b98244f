// @ts-check
// Functions by a part of their name, and how much lies in them. As the server finds them in all of the tree. What a pattern matches
// only the server says: its patterns are others than the browser's, and none of them takes for ever.

/** True of what stands between slashes. */
export const isPattern = (text) => text.length > 2 && text.startsWith('/') && text.endsWith('/');

/** Which functions of a slice are among these. */
export function among(slice, ids) {
  const known = new Set(ids);
  return slice.functions.map(({ id }) => known.has(id));
}

/** Which functions of a slice match; none if nothing is looked for. */
export function matching(slice, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  return slice.functions.map((known) => known.id !== 0 && known.found.some((has) => has.includes(wanted)));
}

/** How many frames under one match, and how much lies in these: once, if several lie in each other. */
export function found(slice, matches, zoom) {
  const { frames } = slice;
  const inOne = new Uint8Array(frames.length);
  let [number, width, growth] = [0, 0, 0];
  for (const i of frames.under(zoom)) {
    const isMatch = matches[frames.function[i]];
    const isInside = i !== zoom && inOne[frames.parent[i]] === 1;
    inOne[i] = isMatch || isInside ? 1 : 0;
    if (!isMatch) continue;
    number += 1;
    if (isInside) continue;
    width += frames.widths[i];
    growth += slice.isGrowth ? frames.growth[i] : 0;
  }
  return { number, width, growth };
}
