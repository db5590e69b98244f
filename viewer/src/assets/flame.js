// @ts-check
// The flamegraph of a page: draws the slice that the server cut, and asks for another where it is too coarse.
//
// All that is chosen stands in the address, so Back, reload and a copied link show the same. Names come from snapshots and are
// hostile: they are drawn on the canvas or set as text, and never become markup. Numbers are the server's; nothing is reckoned here but
// widths on the screen.

const ROW = 20;
const FONT = '12px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace';
/** Browsers draw no canvas that is higher. */
const HIGHEST = 16000;
/** What the address says of the picture; all else in it is left alone. */
const PARTS = ['value', 'mode', 'frames', 'invert', 'function', 'site', 'task', 'await', 'q', 'root'];
const DEFAULTS = { value: 'live_bytes', mode: 'change', frames: 'own', root: '0', invert: 'false' };
const COLORS = ['own0', 'own1', 'own2', 'own3', 'own4', 'own5', 'library', 'runtime', 'bar-ink', 'faint-ink', 'edge', 'chosen', 'found',
  'more', 'grew1', 'grew2', 'grew3', 'shrank1', 'shrank2', 'shrank3', 'level', 'hatch'];

// ---- numbers for people: as the pages write them, nothing rounded up

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function count(number) {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

function bytes(size) {
  let unit = 0;
  let value = Math.abs(size);
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const tenths = Math.floor(value * 10) % 10;
  const text = value >= 10 || tenths === 0 ? count(Math.floor(value)) : `${Math.floor(value)}.${tenths}`;
  return `${size < 0 ? '-' : ''}${text} ${UNITS[unit]}`;
}

const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
const signed = (size) => (size > 0 ? '+' : '') + bytes(size);
const share = (part, whole) => `${(whole > 0 ? (part / whole) * 100 : 0).toFixed(1)} %`;

/** Notes how long something took, until the browser has it on the screen. */
function measured(name, start) {
  requestAnimationFrame(() => setTimeout(() => performance.measure(name, { start })));
}

function element(tag, classes = '', text = '') {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
}

// ---- a slice

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
class Slice {
  constructor(doc) {
    this.doc = doc;
    this.frames = new Frames(doc.nodes);
    this.callers = doc.callers ? new Frames(doc.callers) : null;
    this.isGrowth = Array.isArray(doc.nodes.growth);
    this.amount = doc.unit === 'bytes' ? bytes : count;
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
    const limits = frames.low ? `${amount(frames.low[i])} to ${amount(frames.high[i])}` : '–';
    const samples = frames.samples ? count(frames.samples[i]) : '–';
    return [amount(frames.total[i]), share(frames.total[i], doc.whole), amount(frames.self[i]), limits, samples];
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

// ---- the page

class Flame {
  constructor(host) {
    this.host = host;
    this.form = host.querySelector('.flame-form');
    this.field = this.form.elements.namedItem('q');
    this.found = host.querySelector('.flame-found');
    this.picture = host.querySelector('.flame-picture');
    this.path = host.querySelector('.flame-path');
    this.rows = host.querySelector('.flame-table tbody');
    this.slice = null;
    this.zoom = 0;
    this.chosen = null;
    this.hovered = null;
    this.matches = null;
    this.asked = 0;
    this.listen();
    this.load(true);
  }

  // -- the address

  get state() {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(PARTS.map((part) => [part, query.get(part) || DEFAULTS[part] || '']));
  }

  address(state) {
    const query = new URLSearchParams();
    for (const part of PARTS) {
      if (state[part] && state[part] !== DEFAULTS[part]) query.set(part, state[part]);
    }
    const text = query.toString();
    return text ? `?${text}` : '';
  }

  /** Shows another state, and lets Back return to this one. */
  go(change) {
    const address = this.address({ ...this.state, ...change });
    if (address === this.address(this.state)) return;
    history.pushState(null, '', this.host.dataset.page + address);
    this.follow();
  }

  /** Loads the page in another state: the rest of it is about that as well. */
  leave(change) {
    location.assign(this.host.dataset.page + this.address({ ...this.state, ...change }));
  }

  /** Shows what the address says. */
  follow() {
    const state = this.state;
    this.field.value = state.q;
    this.check('invert', state.invert === 'true');
    this.check('frames', state.frames === 'all');
    const mode = this.form.elements.namedItem('mode');
    if (mode) mode.value = state.mode;
    const of = this.address({ ...state, q: '', root: '' });
    const place = this.slice && this.of === of ? this.slice.placeOf(state.root) : undefined;
    if (place === undefined) {
      this.load(false);
      return;
    }
    this.show(place);
    // What was left out for being small may be large from here.
    if (place !== 0 && this.slice.doc.left_out_frames !== 0) this.load(false);
  }

  check(name, is) {
    const box = this.form.elements.namedItem(name);
    if (box) box.checked = is;
  }

  async load(isFirst) {
    const state = this.state;
    this.asked += 1;
    const asked = this.asked;
    const before = performance.now();
    try {
      const answer = await fetch(this.host.dataset.json + this.address({ ...state, q: '' }), { headers: { accept: 'application/json' } });
      const doc = await answer.json();
      if (!answer.ok) throw new Error(doc.error);
      if (asked !== this.asked) return;
      this.of = this.address({ ...state, q: '', root: '' });
      this.slice = new Slice(doc);
      if (isFirst) this.begin();
      this.chosen = null;
      this.show(0);
      measured('flame-paint', before);
    } catch (error) {
      if (asked === this.asked) this.found.textContent = `The picture cannot be loaded: ${error.message}`;
    }
  }

  // -- what is there once a slice has come

  begin() {
    if (!this.picture) return;
    this.picture.replaceChildren();
    this.map = element('canvas', 'map');
    this.map.setAttribute('aria-hidden', 'true');
    this.canvas = element('canvas', 'frames');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-label', 'Flamegraph: arrows walk, Enter begins at a frame, Escape goes out; the table below is the same as a tree');
    this.tip = element('div', 'flame-tip');
    this.tip.hidden = true;
    this.tip.setAttribute('aria-hidden', 'true');
    this.picture.append(this.map, this.canvas, this.tip);
    this.says = element('p', 'flame-says');
    this.says.setAttribute('aria-live', 'polite');
    this.buttons = element('div', 'flame-buttons');
    for (const [name, key, act] of [
      ['Out', 'Escape', () => this.out()],
      ['Callers and callees', 's', () => this.around()],
      ['Copy name', 'y', () => this.copyName()],
      ['Copy link', 'c', () => this.copyLink()],
      ['Whole', '0', () => this.whole()],
    ]) {
      const button = element('button', '', name);
      button.type = 'button';
      button.title = `Key: ${key}`;
      button.setAttribute('aria-keyshortcuts', key);
      button.addEventListener('click', act);
      this.buttons.append(button);
    }
    this.picture.after(this.says, this.buttons);
    this.form.classList.add('live');
    this.brush = this.canvas.getContext('2d');
    this.readColors();
    this.brush.font = FONT;
    this.letter = this.brush.measureText('M'.repeat(100)).width / 100;
    this.hear();
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  readColors() {
    const style = getComputedStyle(document.documentElement);
    this.colors = Object.fromEntries(COLORS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  /** Begins at a frame of the slice. */
  show(place) {
    if (!this.canvas) return;
    this.zoom = place;
    if (!this.chosen || (this.chosen.frames === this.slice.frames && !this.isShown(this.chosen.i))) this.chosen = null;
    this.search(false);
    this.sayPath();
    this.fillTable();
    this.say();
    this.draw();
  }

  isShown(i) {
    const { parent } = this.slice.frames;
    for (let at = i; at !== this.zoom; at = parent[at]) if (at === 0) return false;
    return true;
  }

  // -- drawing

  /** Draws before the browser shows the page next, once for all that changed until then. */
  draw() {
    if (!this.canvas || !this.slice || this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, slice } = this;
    const width = this.picture.clientWidth - 4;
    const above = slice.callers ? slice.callers.deepest(0) : 0;
    const height = Math.min((above + slice.frames.deepest(this.zoom) + 1) * ROW, HIGHEST);
    const brush = this.size(canvas, width, height);
    brush.font = FONT;
    brush.textBaseline = 'middle';
    this.bars = [];
    if (slice.callers) this.drawFrames(brush, slice.callers, 0, width, (depth) => (above - depth) * ROW, 1);
    this.drawFrames(brush, slice.frames, this.zoom, width, (depth) => (above + depth) * ROW, 0);
    this.drawChosen(brush);
    this.drawMap(width);
    canvas.dataset.bars = String(this.bars.length);
    this.host.dataset.ready = this.state.root;
  }

  size(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    const brush = canvas.getContext('2d');
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, width, height);
    return brush;
  }

  drawFrames(brush, frames, root, width, yOf, skip) {
    const { colors } = this;
    const scale = width / Math.max(frames.widths[root], 1);
    const left = frames.x[root];
    // Where each row is painted up to: of many bars in one pixel one is enough.
    const painted = [];
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
        const isSeen = end > (painted[depth] ?? -1);
        painted[depth] = Math.max(end, painted[depth] ?? -1);
        if (isSeen || this.matches?.[frames.function[i]]) this.drawBar(brush, bar);
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
    const isDim = this.matches && !this.matches[frames.function[i]];
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
    if (this.matches && !isDim) {
      if (wide > 5) this.drawFrame(brush, bar, colors.found, 2);
      else {
        brush.fillStyle = colors.found;
        brush.fillRect(x, y, wide, ROW - 1);
      }
    }
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

  drawFrame(brush, { x, y, wide }, color, thick) {
    brush.strokeStyle = color;
    brush.lineWidth = thick;
    brush.strokeRect(x + thick / 2, y + thick / 2, Math.max(wide - thick, 0.5), ROW - 1 - thick);
    brush.lineWidth = 1;
  }

  /** The chosen frame, and wherever its function is beside it. */
  drawChosen(brush) {
    const { hovered, chosen, colors } = this;
    const alike = hovered ?? chosen;
    const id = alike && alike.frames.function[alike.i];
    for (const bar of this.bars) {
      const isChosen = chosen && bar.frames === chosen.frames && bar.i === chosen.i;
      if (isChosen) this.drawFrame(brush, bar, colors.chosen, 3);
      else if (alike && bar.wide > 2 && bar.frames.function[bar.i] === id) this.drawFrame(brush, bar, colors.chosen, 1);
    }
  }

  /** The whole slice, small, and where the picture is in it. */
  drawMap(width) {
    const { frames } = this.slice;
    this.map.hidden = this.zoom === 0;
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
    brush.strokeRect(frames.x[this.zoom] * scale + 1, 1, Math.max(frames.widths[this.zoom] * scale - 2, 1), rows * 3 - 2);
  }

  // -- words

  sayPath() {
    const { doc, frames } = this.slice;
    const steps = doc.above.map((step) => [step.root, step.function]);
    const inside = [];
    for (let i = this.zoom; ; i = frames.parent[i]) {
      inside.push([doc.function === null ? this.slice.rootOf(i) : null, frames.function[i]]);
      if (i === 0) break;
    }
    inside.reverse();
    const links = [...steps, ...inside].map(([root, at]) => {
      const link = element('a', '', this.slice.functions[at].label);
      const state = root === null ? this.state : { ...this.state, root, function: '' };
      link.href = this.host.dataset.page + this.address(state);
      link.addEventListener('click', (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.go(state);
      });
      return link;
    });
    this.path.replaceChildren(...links);
  }

  say() {
    const at = this.hovered ?? this.chosen;
    if (!at) {
      const left = this.slice.doc.left_out_frames;
      const rest = left === null && this.slice.frames.omitted.some((omitted) => omitted > 0) ? ', smaller ones left out' : '';
      this.says.textContent = `${counted(this.slice.frames.length, 'frame')} drawn${left ? `, ${count(left)} smaller ones left out` : rest}.`;
      return;
    }
    const known = this.slice.function(at.frames, at.i);
    const name = element('b', '', known.name);
    const rest = [known.location, ...this.slice.lines(at.frames, at.i)].filter(Boolean).join(' · ');
    this.says.replaceChildren(name, document.createTextNode(` ${rest}`));
  }

  showTip(bar, x, y) {
    this.tip.hidden = !bar;
    if (!bar) return;
    const known = this.slice.function(bar.frames, bar.i);
    const lines = [known.location, ...this.slice.lines(bar.frames, bar.i)].filter(Boolean);
    this.tip.replaceChildren(element('b', '', known.name), ...lines.map((line) => element('span', '', line)));
    const room = this.picture.clientWidth;
    this.tip.style.left = `${Math.max(Math.min(x + 14, room - this.tip.offsetWidth - 4), 0)}px`;
    this.tip.style.top = `${y + 22}px`;
  }

  // -- the table: the same as a tree of rows

  fillTable() {
    const { slice, zoom } = this;
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
    this.rows.replaceChildren(...rows);
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

  // -- what people do

  choose(frames, i, isFocused = false) {
    this.chosen = { frames, i };
    this.draw();
    this.say();
    for (const row of this.rows.children) {
      const is = frames === this.slice.frames && Number(row.dataset.place) === i;
      row.classList.toggle('chosen', is);
      if (is && isFocused) this.focusRow(row);
    }
  }

  focusRow(row) {
    for (const other of this.rows.children) other.tabIndex = other === row ? 0 : -1;
    row.focus();
  }

  /** Begins at a frame; where a function is in the middle, another function takes its place. */
  enter(frames, i) {
    const before = performance.now();
    const { doc } = this.slice;
    if (doc.function !== null) {
      this.go({ function: String(this.slice.function(frames, i).id), root: '' });
    } else if (i !== this.zoom) {
      this.chosen = { frames, i };
      this.go({ root: this.slice.rootOf(i) });
    }
    measured('flame-zoom', before);
  }

  out() {
    const { doc, frames } = this.slice;
    if (this.zoom !== 0) this.go({ root: this.slice.rootOf(frames.parent[this.zoom]) });
    else if (doc.above.length > 0) this.go({ root: doc.above[doc.above.length - 1].root, function: '' });
  }

  whole() {
    this.go({ root: '', function: '' });
  }

  around() {
    const at = this.chosen ?? { frames: this.slice.frames, i: this.zoom };
    const { id } = this.slice.function(at.frames, at.i);
    if (id !== 0) this.go({ function: String(id), root: '', invert: '' });
  }

  async copyName() {
    const at = this.chosen ?? { frames: this.slice.frames, i: this.zoom };
    const known = this.slice.function(at.frames, at.i);
    await this.copy(known.location ? `${known.name} (${known.location})` : known.name);
  }

  async copyLink() {
    await this.copy(location.href);
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.says.textContent = `Copied: ${text}`;
    } catch {
      this.says.textContent = `The browser does not let it be copied: ${text}`;
    }
  }

  /** Marks what matches, and says how much lies in it. */
  search(isTyped) {
    const before = performance.now();
    const { slice } = this;
    const text = this.field.value.trim().toLowerCase();
    if (isTyped) history.replaceState(null, '', this.host.dataset.page + this.address({ ...this.state, q: this.field.value.trim() }));
    this.matches = text ? slice.functions.map((known) => known.id !== 0 && known.found.some((has) => has.includes(text))) : null;
    if (!text) {
      this.found.textContent = '';
    } else {
      const { frames } = slice;
      const inOne = new Uint8Array(frames.length);
      let [number, width, growth] = [0, 0, 0];
      for (const i of frames.under(this.zoom)) {
        const isMatch = this.matches[frames.function[i]];
        const isInside = i !== this.zoom && inOne[frames.parent[i]] === 1;
        inOne[i] = isMatch || isInside ? 1 : 0;
        if (!isMatch) continue;
        number += 1;
        if (isInside) continue;
        width += frames.widths[i];
        growth += slice.isGrowth ? frames.growth[i] : 0;
      }
      const words = slice.isGrowth ? signed(growth) : slice.amount(width);
      this.sayFound(number, words, share(width, frames.widths[this.zoom]));
      if (slice.doc.left_out_frames !== 0) this.searchAll();
    }
    if (isTyped) {
      this.draw();
      measured('flame-search', before);
    }
  }

  sayFound(number, words, part) {
    this.found.textContent = `${counted(number, 'frame')} found: ${words}, ${part} of what is shown`;
  }

  /** What was left out may match, too: the server knows all of the tree. */
  searchAll() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(async () => {
      const state = this.state;
      const answer = await fetch(`${this.host.dataset.json}${this.address(state)}&nodes=1`).catch(() => null);
      const doc = answer && answer.ok ? await answer.json() : null;
      if (doc?.search && state.q === this.state.q && state.root === this.state.root) {
        this.sayFound(doc.search.frames, doc.search.words, `${doc.search.share_percent.toFixed(1)} %`);
      }
    }, 200);
  }

  /** Goes from the chosen frame to the next one that matches, the heaviest first. */
  nextMatch() {
    const { frames } = this.slice;
    if (!this.matches) return;
    const all = [];
    for (let i = 0; i < frames.length; i += 1) if (this.matches[frames.function[i]] && this.isShown(i)) all.push(i);
    const at = this.chosen && this.chosen.frames === frames ? all.indexOf(this.chosen.i) : -1;
    if (all.length > 0) this.choose(frames, all[(at + 1) % all.length]);
  }

  /** To the caller, the callee or the one beside. */
  walk(key) {
    const at = this.chosen ?? { frames: this.slice.frames, i: this.zoom };
    const { frames } = at;
    if (!this.chosen) return this.choose(frames, at.i);
    const isUp = frames === this.slice.callers ? key === 'ArrowDown' : key === 'ArrowUp';
    if (key === 'ArrowUp' || key === 'ArrowDown') {
      if (!isUp && frames.children[at.i].length > 0) return this.choose(frames, frames.children[at.i][0]);
      if (isUp && frames === this.slice.frames && at.i === this.zoom) {
        const { callers } = this.slice;
        return callers && callers.length > 1 ? this.choose(callers, callers.children[0][0]) : this.out();
      }
      if (isUp) {
        const parent = frames.parent[at.i];
        return parent === 0 && frames === this.slice.callers ? this.choose(this.slice.frames, 0) : this.choose(frames, parent);
      }
      return undefined;
    }
    if (at.i === 0) return undefined;
    const beside = frames.children[frames.parent[at.i]];
    const next = beside.indexOf(at.i) + (key === 'ArrowRight' ? 1 : -1);
    return beside[next] === undefined ? undefined : this.choose(frames, beside[next]);
  }

  // -- listening

  listen() {
    window.addEventListener('popstate', () => this.follow());
    this.form.addEventListener('submit', (event) => {
      if (!this.canvas) return;
      event.preventDefault();
      this.nextMatch();
    });
    this.form.addEventListener('change', (event) => {
      const { name, value, type, checked } = event.target;
      if (name === 'q' || !this.canvas) return;
      const chosen = type === 'checkbox' && !checked ? '' : value;
      const from = name === 'mode' ? {} : { root: '', function: '' };
      if (type === 'checkbox' || name === 'mode') this.go({ [name]: chosen, ...from });
      // What was allocated since start is not known by task.
      else if (chosen.startsWith('allocated')) this.leave({ value: chosen, site: '', task: '', await: '', ...from });
      else this.leave({ [name]: chosen, ...from });
    });
    this.field.addEventListener('input', () => this.slice && this.search(true));
    document.addEventListener('keydown', (event) => this.press(event));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      if (!this.canvas) return;
      this.readColors();
      this.draw();
    });
  }

  press(event) {
    if (!this.canvas || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target === this.field && key === 'Escape') {
      this.field.value = '';
      this.search(true);
      this.canvas.focus();
      event.preventDefault();
      return;
    }
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) {
      if (target.type !== 'checkbox') return;
    }
    const row = target instanceof HTMLElement && target.closest('.flame-table tr[tabindex]');
    const isIn = target === this.canvas || target === document.body;
    const acts = {
      '/': () => this.field.select(),
      i: () => this.go({ invert: this.state.invert === 'true' ? '' : 'true', root: '', function: '' }),
      f: () => this.go({ frames: this.state.frames === 'all' ? '' : 'all', root: '', function: '' }),
      d: () => this.nextMode(),
      s: () => this.around(),
      y: () => this.copyName(),
      c: () => this.copyLink(),
      n: () => this.nextMatch(),
      0: () => this.whole(),
      Escape: () => this.out(),
    };
    let act = acts[key];
    if (row) act = this.rowActs(row)[key] ?? act;
    else if (isIn && key.startsWith('Arrow') && (target === this.canvas || this.chosen)) act = () => this.walk(key);
    else if (isIn && key === 'Enter' && this.chosen) act = () => this.enter(this.chosen.frames, this.chosen.i);
    if (!act) return;
    event.preventDefault();
    act();
  }

  nextMode() {
    const select = this.form.elements.namedItem('mode');
    if (!select) return;
    const next = (select.selectedIndex + 1) % select.options.length;
    this.go({ mode: select.options[next].value });
  }

  rowActs(row) {
    const to = (other) => other && this.choose(this.slice.frames, Number(other.dataset.place), true);
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
      Home: () => to(this.rows.firstElementChild),
      End: () => to(this.rows.lastElementChild),
      Enter: () => {
        this.enter(this.slice.frames, Number(row.dataset.place));
        this.canvas.focus();
      },
    };
  }

  hear() {
    const barAt = (event) => {
      const { offsetX: x, offsetY: y } = event;
      return this.bars.findLast((bar) => y >= bar.y && y < bar.y + ROW && x >= bar.x && x <= bar.x + bar.wide + 1) ?? null;
    };
    const hover = (bar, event) => {
      const isSame = bar?.i === this.hovered?.i && bar?.frames === this.hovered?.frames;
      this.hovered = bar;
      if (!isSame) this.draw();
      this.showTip(bar, event.offsetX, event.offsetY + this.canvas.offsetTop);
    };
    this.canvas.addEventListener('pointermove', (event) => event.pointerType !== 'touch' && hover(barAt(event), event));
    this.canvas.addEventListener('pointerleave', (event) => hover(null, event));
    this.canvas.addEventListener('click', (event) => {
      const bar = barAt(event);
      if (!bar) return;
      const isChosen = this.chosen?.frames === bar.frames && this.chosen?.i === bar.i;
      // A finger has no hover: the first touch shows what it is.
      if (event.pointerType === 'touch' && !isChosen) this.choose(bar.frames, bar.i);
      else {
        hover(null, event);
        this.enter(bar.frames, bar.i);
      }
    });
    this.map.addEventListener('click', (event) => {
      const { frames } = this.slice;
      const at = (event.offsetX / this.map.clientWidth) * frames.widths[0];
      const depth = Math.floor(event.offsetY / 3);
      for (let i = 0; i < frames.length; i += 1) {
        if (frames.depth[i] === depth && at >= frames.x[i] && at < frames.x[i] + frames.widths[i]) this.enter(frames, i);
      }
    });
    this.rows.addEventListener('click', (event) => {
      const row = event.target instanceof Element && event.target.closest('tr[tabindex]');
      if (row) this.enter(this.slice.frames, Number(row.dataset.place));
    });
    this.rows.addEventListener('focusin', (event) => {
      const row = event.target instanceof Element && event.target.closest('tr[tabindex]');
      if (row) this.choose(this.slice.frames, Number(row.dataset.place));
    });
  }
}

for (const host of document.querySelectorAll('.flame[data-json]')) {
  if (host.querySelector('.flame-picture')) new Flame(host);
}
