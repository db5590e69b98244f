// @ts-check
// The flamegraph of a page: draws the slice that the server cut, and asks for another where it is too coarse.
//
// Numbers are the server's; nothing is reckoned here but widths on the screen.

import { cut, query, state } from './address.js';
import { Canvas } from './canvas.js';
import { element } from './element.js';
import { listen } from './keys.js';
import { count, counted, share, signed } from './numbers.js';
import { among, found, isPattern, matching } from './search.js';
import { Slice } from './slice.js';
import { Table } from './table.js';
import { next } from './walk.js';

/** Notes how long something took, until the browser has it on the screen. */
function measured(name, start) {
  requestAnimationFrame(() => setTimeout(() => performance.measure(name, { start })));
}

/** Why the server does not search, without what is said to programs. */
const refusal = (text) => text.slice(text.indexOf('not a pattern')).trim();

class Flame {
  constructor(host) {
    this.host = host;
    this.form = host.querySelector('.flame-form');
    this.field = this.form.elements.namedItem('q');
    this.found = host.querySelector('.flame-found');
    this.picture = host.querySelector('.flame-picture');
    this.path = host.querySelector('.flame-path');
    this.rows = host.querySelector('.flame-table tbody');
    this.canvas = null;
    this.slice = null;
    this.zoom = 0;
    this.chosen = null;
    this.hovered = null;
    this.matches = null;
    this.asked = 0;
    this.searches = 0;
    listen(this);
    this.load(true);
  }

  // -- the address

  address(of) {
    return this.host.dataset.page + query(of);
  }

  /** Shows another state, and lets Back return to this one. */
  go(change) {
    const address = this.address({ ...state(), ...change });
    if (address === this.address(state())) return;
    history.pushState(null, '', address);
    this.follow();
  }

  /** Loads the page in another state: the rest of it is about that as well. */
  leave(change) {
    location.assign(this.address({ ...state(), ...change }));
  }

  /** Shows what the address says. */
  follow() {
    const now = state();
    this.field.value = now.q;
    this.check('invert', now.invert === 'true');
    this.check('frames', now.frames === 'all');
    const select = this.modes;
    if (select) select.value = now[select.name];
    const place = this.slice && this.of === cut(now) ? this.slice.placeOf(now.root) : undefined;
    if (place === undefined) {
      this.load(false);
      return;
    }
    this.show(place);
    // What was left out for being small may be large from here.
    if (place !== 0 && this.slice.doc.left_out_frames !== 0) this.load(false);
  }

  /** What the width of a frame may be, where that can be chosen without another page. */
  get modes() {
    return this.form.elements.namedItem('mode') ?? this.form.elements.namedItem('width');
  }

  check(name, is) {
    const box = this.form.elements.namedItem(name);
    if (box) box.checked = is;
  }

  async load(isFirst) {
    const now = state();
    this.asked += 1;
    const asked = this.asked;
    const before = performance.now();
    try {
      const answer = await fetch(this.host.dataset.json + query({ ...now, q: '' }), { headers: { accept: 'application/json' } });
      const doc = await answer.json();
      if (!answer.ok) throw new Error(doc.error);
      if (asked !== this.asked) return;
      this.of = cut(now);
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
    this.canvas = new Canvas();
    this.tip = element('div', 'flame-tip');
    this.tip.hidden = true;
    this.tip.setAttribute('aria-hidden', 'true');
    this.picture.replaceChildren(this.canvas.map, this.canvas.canvas, this.tip);
    this.says = element('p', 'flame-says');
    this.says.setAttribute('aria-live', 'polite');
    this.picture.after(this.says, this.buttons());
    this.form.classList.add('live');
    this.table = new Table(this.rows, {
      onEnter: (i) => {
        this.enter(this.slice.frames, i);
        this.canvas.canvas.focus();
      },
      onChoose: (i, isFocused) => this.choose(this.slice.frames, i, isFocused),
    });
    this.hear();
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  buttons() {
    const buttons = element('div', 'flame-buttons');
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
      buttons.append(button);
    }
    return buttons;
  }

  /** Begins at a frame of the slice. */
  show(place) {
    if (!this.canvas) return;
    this.zoom = place;
    if (!this.chosen || (this.chosen.frames === this.slice.frames && !this.isShown(this.chosen.i))) this.chosen = null;
    this.search(false);
    this.sayPath();
    this.table.fill(this.slice, place);
    this.say();
    this.draw();
  }

  isShown(i) {
    const { parent } = this.slice.frames;
    for (let at = i; at !== this.zoom; at = parent[at]) if (at === 0) return false;
    return true;
  }

  /** Draws before the browser shows the page next, once for all that changed until then. */
  draw() {
    if (!this.canvas || !this.slice || this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.canvas.paint(this.picture.clientWidth - 4, this);
      this.host.dataset.ready = state().root;
    });
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
      const to = root === null ? state() : { ...state(), root, function: '' };
      link.href = this.address(to);
      link.addEventListener('click', (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.go(to);
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

  // -- what people do

  choose(frames, i, isFocused = false) {
    this.chosen = { frames, i };
    this.draw();
    this.say();
    this.table.choose(frames === this.slice.frames ? i : -1, isFocused);
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
    const text = this.field.value.trim();
    if (isTyped) history.replaceState(null, '', this.address({ ...state(), q: text }));
    clearTimeout(this.waiting);
    this.searches += 1;
    if (isPattern(text)) {
      this.ask(0, before, true);
      return;
    }
    this.matches = matching(slice, text);
    if (!this.matches) {
      this.found.textContent = '';
    } else {
      const { number, width, growth } = found(slice, this.matches, this.zoom);
      const words = slice.isGrowth ? signed(growth) : slice.amount(width);
      this.sayFound(number, words, share(width, slice.frames.widths[this.zoom]));
      // What was left out may match, too: the server knows all of the tree.
      if (slice.doc.left_out_frames !== 0) this.ask(200, before, false);
    }
    if (isTyped) {
      this.draw();
      measured('flame-search', before);
    }
  }

  sayFound(number, words, part) {
    this.found.textContent = `${counted(number, 'frame')} found: ${words}, ${part} of what is shown`;
  }

  /** Lets the server search, after a moment in which nothing else is typed. */
  ask(pause, before, isMarked) {
    const asked = this.searches;
    this.waiting = setTimeout(async () => {
      const answer = await fetch(`${this.host.dataset.json}${query(state())}&nodes=1`).catch(() => null);
      const text = answer ? await answer.text() : '';
      if (asked !== this.searches || !this.slice) return;
      if (answer && !answer.ok && isMarked) this.mark(null, refusal(text));
      if (!answer?.ok) return;
      const { search } = JSON.parse(text);
      if (!search) return;
      this.sayFound(search.frames, search.words, `${search.share_percent.toFixed(1)} %`);
      if (isMarked) {
        this.mark(among(this.slice, search.functions));
        measured('flame-search', before);
      }
    }, pause);
  }

  mark(matches, says = this.found.textContent) {
    this.matches = matches;
    this.found.textContent = says;
    this.draw();
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
    if (!this.chosen) return this.choose(this.slice.frames, this.zoom);
    const to = next(this.slice, this.zoom, this.chosen, key);
    if (to === 'out') return this.out();
    return to && this.choose(to.frames, to.i);
  }

  nextMode() {
    const select = this.modes;
    if (!select) return;
    const next = (select.selectedIndex + 1) % select.options.length;
    this.go({ [select.name]: select.options[next].value });
  }

  toggle(part, on) {
    this.go({ [part]: state()[part] === on ? '' : on, root: '', function: '' });
  }

  clearSearch() {
    this.field.value = '';
    this.search(true);
    this.canvas.canvas.focus();
  }

  /** The choices of the form. */
  changed({ name, value, type, checked }) {
    if (name === 'q' || !this.canvas) return;
    const chosen = type === 'checkbox' && !checked ? '' : value;
    const isMode = name === this.modes?.name;
    const from = isMode ? {} : { root: '', function: '' };
    if (type === 'checkbox' || isMode) this.go({ [name]: chosen, ...from });
    // What was allocated since start is not known by task or age.
    else if (chosen.startsWith('allocated')) this.leave({ value: chosen, site: '', task: '', await: '', age: '', ...from });
    else this.leave({ [name]: chosen, ...from });
  }

  // -- the mouse

  hear() {
    const { canvas, map } = this.canvas;
    const barAt = (event) => this.canvas.barAt(event.offsetX, event.offsetY);
    const hover = (bar, event) => {
      const isSame = bar?.i === this.hovered?.i && bar?.frames === this.hovered?.frames;
      this.hovered = bar;
      if (!isSame) this.draw();
      this.showTip(bar, event.offsetX, event.offsetY + canvas.offsetTop);
    };
    canvas.addEventListener('pointermove', (event) => event.pointerType !== 'touch' && hover(barAt(event), event));
    canvas.addEventListener('pointerleave', (event) => hover(null, event));
    canvas.addEventListener('click', (event) => {
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
    map.addEventListener('click', (event) => {
      const i = this.canvas.mapAt(event.offsetX, event.offsetY);
      if (i !== null) this.enter(this.slice.frames, i);
    });
  }
}

for (const host of document.querySelectorAll('.flame[data-json]')) {
  if (host.querySelector('.flame-picture')) new Flame(host);
}
