// @ts-check
// The slice as bars on a canvas. Names come from snapshots and are hostile: they are drawn, and never become markup.

import { element } from './element.js';

const ROW = 20;
const FONT = '12px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace';
/** Browsers draw no canvas that is higher. */
const HIGHEST = 16000;
const COLORS = ['own0', 'own1', 'own2', 'own3', 'own4', 'own5', 'library', 'runtime', 'bar-ink', 'faint-ink', 'edge', 'chosen', 'found',
  'more', 'grew1', 'grew2', 'grew3', 'shrank1', 'shrank2', 'shrank3', 'level', 'hatch'];

export class Canvas {
  constructor() {
    this.map = element('canvas', 'map');
    this.map.setAttribute('aria-hidden', 'true');
    this.canvas = element('canvas', 'frames');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-label', 'Flamegraph: arrows walk, Enter begins at a frame, Escape goes out; the table below is the same as a tree');
    this.brush = this.canvas.getContext('2d');
    this.brush.font = FONT;
    this.letter = this.brush.measureText('M'.repeat(100)).width / 100;
    /** What was drawn, each after what it hangs at. */
    this.bars = [];
    this.readColors();
  }

  readColors() {
    const style = getComputedStyle(document.documentElement);
    this.colors = Object.fromEntries(COLORS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  /** Draws a slice from one of its frames on, and what is marked in it. */
  paint(width, { slice, zoom, matches, hovered, chosen }) {
    this.slice = slice;
    this.matches = matches;
    const above = slice.callers ? slice.callers.deepest(0) : 0;
    const height = Math.min((above + slice.frames.deepest(zoom) + 1) * ROW, HIGHEST);
    const brush = this.size(this.canvas, width, height);
    brush.font = FONT;
    brush.textBaseline = 'middle';
    this.bars = [];
    if (slice.callers) this.drawFrames(brush, slice.callers, 0, width, (depth) => (above - depth) * ROW, 1);
    this.drawFrames(brush, slice.frames, zoom, width, (depth) => (above + depth) * ROW, 0);
    this.drawChosen(brush, hovered, chosen);
    this.drawMap(width, zoom);
    this.canvas.dataset.bars = String(this.bars.length);
  }

  barAt(x, y) {
    return this.bars.findLast((bar) => y >= bar.y && y < bar.y + ROW && x >= bar.x && x <= bar.x + bar.wide + 1) ?? null;
  }

  /** The frame of the small picture of the whole; none between them. */
  mapAt(x, y) {
    const { frames } = this.slice;
    const at = (x / this.map.clientWidth) * frames.widths[0];
    const depth = Math.floor(y / 3);
    for (let i = 0; i < frames.length; i += 1) {
      if (frames.depth[i] === depth && at >= frames.x[i] && at < frames.x[i] + frames.widths[i]) return i;
    }
    return null;
  }

  size(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
    // To set it takes new memory, even if it is the same.
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.height = `${height}px`;
    }
    const brush = canvas.getContext('2d');
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, width, height);
    return brush;
  }

  drawFrames(brush, frames, root, width, yOf, skip) {
    const { colors } = this;
    const scale = width / Math.max(frames.widths[root], 1);
    const left = frames.x[root];
    // Where each row is painted up to, and marked up to: of many bars in one pixel one of each is enough.
    const [painted, marked] = [[], []];
    const open = [root];
    while (open.length > 0) {
      const i = open.pop();
      const wide = frames.widths[i] * scale;
      if (wide < 0.3) continue;
      const depth = frames.depth[i] - frames.depth[root];
      const x = Math.round((frames.x[i] - left) * scale);
      const end = Math.max(Math.round((frames.x[i] - left) * scale + wide), x + 1);
      const bar = { frames, i, x, y: yOf(depth), wide: end - x > 3 ? end - x - 1 : end - x };
      const children = frames.children[i];
      for (let at = children.length - 1; at >= 0; at -= 1) open.push(children[at]);
      if (depth >= skip) {
        this.bars.push(bar);
        const reached = this.matches?.[frames.function[i]] ? marked : painted;
        const isSeen = end > (reached[depth] ?? -1);
        painted[depth] = Math.max(end, painted[depth] ?? -1);
        if (reached === marked) marked[depth] = Math.max(end, marked[depth] ?? -1);
        if (isSeen) this.drawBar(brush, bar);
      }
      const more = frames.omitted[i] > 0 && frames.self ? (frames.widths[i] - frames.self[i]) * scale - (frames.end[i] - frames.x[i]) * scale : 0;
      if (more >= 2) {
        brush.fillStyle = colors.more;
        brush.fillRect((frames.end[i] - left) * scale, yOf(depth + 1) + ROW / 2 - 1, more - 1, 2);
      }
    }
  }

  drawBar(brush, bar) {
    const { slice, colors } = this;
    const { frames, i, x, y, wide } = bar;
    const isFound = this.matches !== null && this.matches[frames.function[i]];
    const isDim = this.matches !== null && !isFound;
    if (isFound && wide <= 5) {
      brush.fillStyle = colors.found;
      brush.fillRect(x, y, wide, ROW - 1);
      return;
    }
    brush.globalAlpha = isDim ? 0.35 : 1;
    brush.fillStyle = colors[slice.color(frames, i)];
    if (slice.isGrowth && slice.doc.mode === 'both') this.drawBoth(brush, bar);
    else brush.fillRect(x, y, wide, ROW - 1);
    if (slice.isGrowth && slice.isGone(frames, i)) this.drawHatch(brush, bar);
    if (slice.isGrowth && slice.isNew(frames, i) && wide > 3) this.drawFrame(brush, bar, colors['bar-ink'], 1.5);
    brush.globalAlpha = 1;
    const room = Math.floor((wide - 7) / this.letter);
    if (room >= 3) {
      const mark = slice.mark(frames, i);
      const text = room > mark.length + 2 ? mark + slice.label(frames, i, room - mark.length) : mark.trim();
      brush.fillStyle = isDim ? colors['faint-ink'] : colors['bar-ink'];
      brush.fillText(text, x + 4, y + ROW / 2);
    }
    if (isFound) this.drawFrame(brush, bar, colors.found, 2);
  }

  /** Before above, after below, each as wide as it is. */
  drawBoth(brush, { frames, i, x, y, wide }) {
    const most = Math.max(frames.width[i], 1);
    const color = brush.fillStyle;
    brush.fillStyle = this.colors.runtime;
    brush.fillRect(x, y, wide, ROW - 1);
    brush.fillStyle = this.colors.more;
    brush.fillRect(x, y, wide * Math.min(frames.before[i] / most, 1), (ROW - 1) / 2 - 1);
    brush.fillStyle = color;
    brush.fillRect(x, y + (ROW - 1) / 2, wide * Math.min(frames.after[i] / most, 1), (ROW - 1) / 2);
  }

  drawHatch(brush, { x, y, wide }) {
    brush.save();
    brush.beginPath();
    brush.rect(x, y, wide, ROW - 1);
    brush.clip();
    brush.strokeStyle = this.colors.hatch;
    brush.globalAlpha *= 0.3;
    brush.beginPath();
    for (let at = x - ROW; at < x + wide; at += 6) {
      brush.moveTo(at, y + ROW);
      brush.lineTo(at + ROW, y);
    }
    brush.stroke();
    brush.restore();
  }

  /** Four bars: a stroke is smoothed, which takes several times as long. */
  drawFrame(brush, { x, y, wide }, color, thick) {
    const high = ROW - 1;
    brush.fillStyle = color;
    brush.fillRect(x, y, wide, thick);
    brush.fillRect(x, y + high - thick, wide, thick);
    brush.fillRect(x, y + thick, thick, high - 2 * thick);
    brush.fillRect(x + wide - thick, y + thick, thick, high - 2 * thick);
  }

  /** The chosen frame, and wherever its function is beside it. */
  drawChosen(brush, hovered, chosen) {
    const { colors } = this;
    const alike = hovered ?? chosen;
    const id = alike && alike.frames.function[alike.i];
    for (const bar of this.bars) {
      const isChosen = chosen && bar.frames === chosen.frames && bar.i === chosen.i;
      if (isChosen) this.drawFrame(brush, bar, colors.chosen, 3);
      else if (alike && bar.wide > 2 && bar.frames.function[bar.i] === id) this.drawFrame(brush, bar, colors.chosen, 1);
    }
  }

  /** The whole slice, small, and where the picture is in it. */
  drawMap(width, zoom) {
    const { frames } = this.slice;
    this.map.hidden = zoom === 0;
    if (this.map.hidden) return;
    const rows = Math.min(frames.deepest(0) + 1, 20);
    const brush = this.size(this.map, width, rows * 3);
    const scale = width / Math.max(frames.widths[0], 1);
    for (let i = 0; i < frames.length; i += 1) {
      if (frames.depth[i] < rows && frames.widths[i] * scale > 0.5) {
        brush.fillStyle = this.colors[this.slice.color(frames, i)];
        brush.fillRect(frames.x[i] * scale, frames.depth[i] * 3, frames.widths[i] * scale, 2.5);
      }
    }
    brush.strokeStyle = this.colors.chosen;
    brush.lineWidth = 2;
    brush.strokeRect(frames.x[zoom] * scale + 1, 1, Math.max(frames.widths[zoom] * scale - 2, 1), rows * 3 - 2);
  }
}
