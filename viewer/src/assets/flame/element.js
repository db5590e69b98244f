// @ts-check
// Elements that are made with text and never with markup: names come from snapshots and are hostile.

export function element(tag, classes = '', text = '') {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
}
