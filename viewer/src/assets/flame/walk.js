// @ts-check
// From a frame to its caller, its callee or the one beside it.

/** The frame that an arrow leads to from a chosen one; `'out'` beyond the first, nothing where there is none. */
export function next(slice, zoom, { frames, i }, key) {
  const isCaller = frames === slice.callers;
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    if (i === 0) return null;
    const beside = frames.children[frames.parent[i]];
    return at(frames, beside[beside.indexOf(i) + (key === 'ArrowRight' ? 1 : -1)]);
  }
  // The callers of a function are drawn upwards.
  if (key === (isCaller ? 'ArrowUp' : 'ArrowDown')) return at(frames, frames.children[i][0]);
  if (!isCaller && i === zoom) {
    const { callers } = slice;
    return callers && callers.length > 1 ? at(callers, callers.children[0][0]) : 'out';
  }
  const parent = frames.parent[i];
  return isCaller && parent === 0 ? at(slice.frames, 0) : at(frames, parent);
}

const at = (frames, i) => (i === undefined ? null : { frames, i });
