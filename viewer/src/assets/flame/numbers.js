// @ts-check
// Numbers for people: as the pages write them, nothing rounded up.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function count(number) {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

export function bytes(size) {
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

export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
export const signed = (size) => (size > 0 ? '+' : '') + bytes(size);
export const share = (part, whole) => `${(whole > 0 ? (part / whole) * 100 : 0).toFixed(1)} %`;
