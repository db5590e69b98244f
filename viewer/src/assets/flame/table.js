// @ts-check
// The heaviest frames as a tree of rows: the same as the picture, for who does not see it.

import { element } from './element.js';

export class Table {
  /** Says which frame was entered, and which was chosen. */
  constructor(body, { onEnter, onChoose }) {
    this.body = body;
    this.onEnter = onEnter;
    this.onChoose = onChoose;
    body.addEventListener('click', (event) => this.at(event.target, onEnter));
    body.addEventListener('focusin', (event) => this.at(event.target, onChoose));
  }

  at(target, then) {
    const row = rowOf(target);
    if (row) then(Number(row.dataset.place));
  }

  fill(slice, zoom) {
    this.slice = slice;
    const { frames } = slice;
    const least = frames.widths[zoom] / 100;
    const shown = new Set();
    const open = [zoom];
    // The heaviest first, so that those that are not listed are the lightest.
    while (open.length > 0 && shown.size < 60) {
      open.sort((a, b) => frames.widths[b] - frames.widths[a]);
      const i = open.shift();
      shown.add(i);
      open.push(...frames.children[i].filter((child) => frames.widths[child] >= least).slice(0, 60));
    }
    const rows = [];
    const next = [zoom];
    while (next.length > 0) {
      const i = next.pop();
      rows.push(this.row(i, frames.depth[i] - frames.depth[zoom], rows.length === 0));
      next.push(...frames.children[i].filter((child) => shown.has(child)).reverse());
    }
    this.body.replaceChildren(...rows);
  }

  row(i, depth, isFirst) {
    const { slice } = this;
    const { frames } = slice;
    const row = element('tr');
    row.setAttribute('aria-level', String(depth + 1));
    row.tabIndex = isFirst ? 0 : -1;
    row.dataset.place = String(i);
    const head = element('th', `frame in${Math.min(depth, 12)}`, slice.mark(frames, i) + slice.function(frames, i).label);
    head.scope = 'row';
    row.append(head, ...slice.cells(frames, i).map((text) => element('td', 'n', text)));
    return row;
  }

  /** Marks the row of a frame; there is none if it is not among the heaviest. */
  choose(place, isFocused) {
    for (const row of this.body.children) {
      const is = Number(row.dataset.place) === place;
      row.classList.toggle('chosen', is);
      if (is && isFocused) this.focus(row);
    }
  }

  focus(row) {
    for (const other of this.body.children) other.tabIndex = other === row ? 0 : -1;
    row.focus();
  }

  /** What keys do in a row. */
  acts(row) {
    const to = (other) => other && this.onChoose(Number(other.dataset.place), true);
    const level = (of) => Number(of.getAttribute('aria-level'));
    return {
      ArrowDown: () => to(row.nextElementSibling),
      ArrowUp: () => to(row.previousElementSibling),
      ArrowRight: () => row.nextElementSibling && level(row.nextElementSibling) > level(row) && to(row.nextElementSibling),
      ArrowLeft: () => {
        let above = row.previousElementSibling;
        while (above && level(above) >= level(row)) above = above.previousElementSibling;
        to(above);
      },
      Home: () => to(this.body.firstElementChild),
      End: () => to(this.body.lastElementChild),
      Enter: () => this.onEnter(Number(row.dataset.place)),
    };
  }
}

export function rowOf(target) {
  return target instanceof Element ? target.closest('.flame-table tr[tabindex]') : null;
}
