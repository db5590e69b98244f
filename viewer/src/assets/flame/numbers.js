// @ts-check
// Numbers for people: as the pages write them, nothing rounded up.

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].map((unit, i) => [1024 ** i, unit]);
const TIMES = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's'], [6e10, 'min'], [3.6e12, 'h'], [8.64e13, 'd']];

export function count(number) {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** In the largest of the units that there is one of, with a decimal below ten. */
function inUnit(amount, units) {
  const [size, unit] = units.findLast(([size]) => amount >= size) ?? units[0];
  const value = amount / size;
  const tenths = Math.floor(value * 10) % 10;
  return `${value >= 10 || tenths === 0 ? count(Math.floor(value)) : `${Math.floor(value)}.${tenths}`} ${unit}`;
}

export const bytes = (size) => (size < 0 ? '-' : '') + inUnit(Math.abs(size), SIZES);
export const duration = (ns) => inUnit(ns, TIMES);
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
export const signed = (size) => (size > 0 ? '+' : '') + bytes(size);
/** How an amount of this unit is written. */
export const written = (unit) => ({ bytes, ns: duration, tasks: (number) => counted(number, 'task') })[unit] ?? count;
export const share = (part, whole) => `${(whole > 0 ? (part / whole) * 100 : 0).toFixed(1)} %`;
