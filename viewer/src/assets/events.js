// Keeps the bar on top of a page up to date: how the sources are, and how many snapshots are newer than the page. Nothing else
// of the page is touched, so nothing moves under its reader. Without this script the bar says what it said when it was loaded.

const bar = document.querySelector('.states');
const newer = document.querySelector('.newer');

/** A viewer that takes no more listeners, or asks for its token again, is asked so much later, in milliseconds. */
const REFUSED = 10_000;

let source = null;
let later = null;

/** Writes what is new into the links that are there: one that has the focus keeps it. */
function tell(states) {
  const links = [...bar.querySelectorAll('.state')];
  states.forEach(({ weight, says }, i) => {
    const link = links[i] ?? bar.insertBefore(document.createElement('a'), newer);
    if (links.length > 0) link.href = links[0].href;
    if (link.className !== `state ${weight}`) link.className = `state ${weight}`;
    if (link.textContent !== says) {
      link.textContent = says;
      link.title = says;
    }
  });
  links.slice(states.length).forEach(link => link.remove());
}

function offer(count) {
  const text = `${count} newer ${count === 1 ? 'snapshot' : 'snapshots'}: show`;
  if (count === 0) return newer.replaceChildren();
  const link = newer.querySelector('a') ?? newer.appendChild(document.createElement('a'));
  link.href = newer.dataset.show;
  link.textContent = text;
}

function listen() {
  clearTimeout(later);
  if (source || document.hidden) return;
  source = new EventSource(newer.dataset.events);
  source.addEventListener('source', event => tell(JSON.parse(event.data)));
  source.addEventListener('snapshots', event => offer(JSON.parse(event.data).newer));
  source.addEventListener('error', () => {
    if (source?.readyState !== EventSource.CLOSED) return tell([{ weight: 'alarm', says: 'the viewer does not answer' }]);
    leave();
    later = setTimeout(listen, REFUSED);
  });
}

/** A page that nobody sees listens to nothing: a browser has few connections to one host. */
function leave() {
  clearTimeout(later);
  source?.close();
  source = null;
}

if (bar && newer?.dataset.events) {
  document.addEventListener('visibilitychange', () => (document.hidden ? leave() : listen()));
  addEventListener('pagehide', leave);
  addEventListener('pageshow', listen);
  listen();
}
