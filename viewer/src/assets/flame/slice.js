// @ts-check
// What the server sent: frames in columns, where each lies, and what is said of it.

import { bytes, count, counted, duration, share, signed, written } from './numbers.js';

/** Frames in a row each, the heaviest first and each after the one that it hangs at. */
class Frames {
  constructor(columns) {
    Object.assign(this, columns);
    this.widths = columns.width ?? columns.total;
    this.length = this.parent.length;
    const length = this.length;
    this.depth = new Uint16Array(length);
    this.x = new Float64Array(length);
    this.children = Array.from({ length }, () => []);
    // Where the next frame that hangs at this one begins.
    const next = new Float64Array(length);
    for (let i = 1; i < length; i += 1) {
      const parent = this.parent[i];
      this.depth[i] = this.depth[parent] + 1;
      this.x[i] = next[parent];
      next[i] = this.x[i];
      next[parent] += this.widths[i];
      this.children[parent].push(i);
    }
    this.end = next;
  }

  /** The frame and all that hang at it, each after the one that it hangs at. */
  *under(root) {
    const open = [root];
    while (open.length > 0) {
      const i = open.pop();
      yield i;
      const children = this.children[i];
      for (let at = children.length - 1; at >= 0; at -= 1) open.push(children[at]);
    }
  }

  deepest(root) {
    let deepest = 0;
    for (const i of this.under(root)) deepest = Math.max(deepest, this.depth[i] - this.depth[root]);
    return deepest;
  }
}

/** What the server sent. */
export class Slice {
  constructor(doc) {
    this.doc = doc;
    this.frames = new Frames(doc.nodes);
    this.callers = doc.callers ? new Frames(doc.callers) : null;
    this.isGrowth = Array.isArray(doc.nodes.growth);
    this.amount = written(doc.unit);
    const { strings, functions } = doc;
    const lower = (text) => text.toLowerCase();
    this.functions = functions.id.map((id, i) => {
      const location = functions.location[i] === null ? '' : strings[functions.location[i]];
      const place = location.slice(location.lastIndexOf('/') + 1);
      const path = strings[functions.path[i]];
      const end = functions.by_line[i] && place ? ` (${place})` : '';
      const words = path.split('::');
      const label = words.slice(-2).join('::') + end;
      const name = strings[functions.name[i]];
      return {
        id, name, location, label, end, words,
        color: ['own' + functions.hue[i], 'library', 'runtime'][functions.origin[i]],
        found: [name, label, location].map(lower),
      };
    });
    this.fits = new Map();
  }

  function(frames, i) {
    return this.functions[frames.function[i]];
  }

  /** The name as far as there is room: without its crate, its modules, its line, in this order. */
  label(frames, i, room) {
    const key = frames.function[i] * 512 + Math.min(room, 511);
    let label = this.fits.get(key);
    if (label === undefined) {
      label = fitting(this.functions[frames.function[i]], room);
      this.fits.set(key, label);
    }
    return label;
  }

  /** By what an address knows a frame. */
  rootOf(i) {
    const { doc, frames } = this;
    if (!doc.invert) return String(frames.node[i]);
    const steps = [];
    for (let at = i; at > 0; at = frames.parent[at]) steps.push(this.function(frames, at).id);
    steps.reverse();
    return (doc.root === '0' ? steps : [doc.root, ...steps]).join('.') || '0';
  }

  /** The frame that an address means, or nothing. */
  placeOf(root) {
    if (this.doc.function !== null) return root === '0' ? 0 : undefined;
    this.places ??= new Map(Array.from({ length: this.frames.length }, (_, i) => [this.rootOf(i), i]));
    return this.places.get(root);
  }

  /** 1 has grown, -1 has shrunk, 0 may be nothing. */
  way(frames, i) {
    if (frames.low[i] > 0) return 1;
    return frames.high[i] < 0 ? -1 : 0;
  }

  isNew(frames, i) {
    return frames.samples_before[i] === 0 && frames.samples_after[i] > 0;
  }

  isGone(frames, i) {
    return frames.samples_after[i] === 0 && frames.samples_before[i] > 0;
  }

  /** What stands before the name: no color says it alone. */
  mark(frames, i) {
    if (!this.isGrowth) return '';
    const way = this.way(frames, i);
    if (way === 0) return '= ';
    if (way > 0) return this.isNew(frames, i) ? '+ new ' : '+ ';
    return this.isGone(frames, i) ? '− gone ' : '− ';
  }

  color(frames, i) {
    if (!this.isGrowth) return this.function(frames, i).color;
    const way = this.way(frames, i);
    if (way === 0) return 'level';
    const part = Math.abs(frames.growth[i]) / Math.max(this.doc.changed, 1);
    const strength = part > 0.3 ? 3 : part > 0.05 ? 2 : 1;
    return (way > 0 ? 'grew' : 'shrank') + strength;
  }

  /** What is known of a frame, a line each. */
  lines(frames, i) {
    const { amount, doc } = this;
    if (this.isGrowth) {
      const word = this.isNew(frames, i) ? ', new' : this.isGone(frames, i) ? ', gone' : '';
      const sure = this.way(frames, i) === 0 ? ', may be nothing' : '';
      return [
        `${signed(frames.growth[i])} (95 %: ${bytes(frames.low[i])} to ${bytes(frames.high[i])})${word}${sure}`,
        `${bytes(frames.before[i])} before, ${bytes(frames.after[i])} after`,
        `itself ${bytes(frames.self_before[i])} before, ${bytes(frames.self_after[i])} after`,
        `${counted(frames.new_samples[i], 'new sample')}, ${count(frames.gone_samples[i])} gone`,
      ];
    }
    if (frames.tasks) {
      return [
        `${counted(frames.tasks[i], 'task')}, ${bytes(frames.bytes[i])}, ${share(frames.total[i], doc.whole)}`,
        `idle for ${duration(frames.longest_idle_ns[i])} at most, ${duration(frames.idle_ns[i])} together`,
        `itself ${amount(frames.self[i])}`,
      ];
    }
    const limits = frames.low ? ` (95 %: ${amount(frames.low[i])} to ${amount(frames.high[i])})` : '';
    const lines = [
      `${amount(frames.total[i])}${limits}, ${share(frames.total[i], doc.whole)}`,
      `itself ${amount(frames.self[i])}`,
    ];
    if (frames.samples) lines.push(counted(frames.samples[i], 'sample'));
    return lines;
  }

  /** The cells of a row of the table. */
  cells(frames, i) {
    const { amount, doc } = this;
    if (this.isGrowth) {
      return [signed(frames.growth[i]), `${bytes(frames.low[i])} to ${bytes(frames.high[i])}`, bytes(frames.before[i]),
        bytes(frames.after[i]), count(frames.new_samples[i]), count(frames.gone_samples[i])];
    }
    if (frames.tasks) {
      return [count(frames.tasks[i]), share(frames.total[i], doc.whole), bytes(frames.bytes[i]), duration(frames.idle_ns[i]),
        duration(frames.longest_idle_ns[i])];
    }
    const limits = frames.low ? `${amount(frames.low[i])} to ${amount(frames.high[i])}` : '–';
    const samples = frames.samples ? count(frames.samples[i]) : '–';
    const numbers = [amount(frames.total[i]), share(frames.total[i], doc.whole), amount(frames.self[i])];
    // CPU time has no limits, what was allocated since start does not tell them.
    return 'low' in frames ? [...numbers, limits, samples] : [...numbers, samples];
  }
}

function fitting({ words, end }, room) {
  const names = words.map((_, from) => words.slice(from).join('::'));
  // Where only the line tells functions apart, it stays for the longest.
  const texts = end ? [...names.map((name) => name + end), end.slice(2, -1)] : names;
  const text = texts.find((each) => each.length <= room);
  if (text !== undefined) return text;
  return room < 3 ? '' : words[words.length - 1].slice(0, room - 1) + '…';
}
