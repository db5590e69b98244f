// @ts-check
// What the keyboard and the form do with a flamegraph.

import { rowOf } from './table.js';

/** Listens for as long as the page is there. */
export function listen(flame) {
  window.addEventListener('popstate', () => flame.follow());
  flame.form.addEventListener('submit', (event) => {
    if (!flame.canvas) return;
    event.preventDefault();
    flame.nextMatch();
  });
  flame.form.addEventListener('change', (event) => flame.changed(event.target));
  flame.field.addEventListener('input', () => flame.slice && flame.search(true));
  document.addEventListener('keydown', (event) => press(flame, event));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    if (!flame.canvas) return;
    flame.canvas.readColors();
    flame.draw();
  });
}

function press(flame, event) {
  if (!flame.canvas || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = actOf(flame, event);
  if (!act) return;
  event.preventDefault();
  act();
}

/** What a key does; nothing where it writes into a field. */
function actOf(flame, { target, key }) {
  if (target === flame.field && key === 'Escape') return () => flame.clearSearch();
  if (isWritten(target)) return null;
  const row = rowOf(target);
  if (row) return flame.table.acts(row)[key] ?? acts(flame)[key];
  const isPicture = target === flame.canvas.canvas;
  if ((isPicture || (target === document.body && flame.chosen)) && key.startsWith('Arrow')) return () => flame.walk(key);
  if ((isPicture || target === document.body) && key === 'Enter' && flame.chosen) {
    return () => flame.enter(flame.chosen.frames, flame.chosen.i);
  }
  return acts(flame)[key];
}

function isWritten(target) {
  if (target instanceof HTMLInputElement) return target.type !== 'checkbox';
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

function acts(flame) {
  return {
    '/': () => flame.field.select(),
    i: () => flame.toggle('invert', 'true'),
    f: () => flame.toggle('frames', 'all'),
    d: () => flame.nextMode(),
    s: () => flame.around(),
    y: () => flame.copyName(),
    c: () => flame.copyLink(),
    n: () => flame.nextMatch(),
    0: () => flame.whole(),
    Escape: () => flame.out(),
  };
}
