// How numbers, times and foreign text are written for people.

// clean shows what would turn letters around or hide them as signs, so that a
// script reads as it runs.
export function clean(text) {
  return String(text ?? '').replace(hidden, (c) => {
    const n = c.codePointAt(0);
    return n < 0x20 ? String.fromCodePoint(0x2400 + n) : `‹U+${n.toString(16).toUpperCase().padStart(4, '0')}›`;
  });
}

// eslint-disable-next-line no-control-regex
const hidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

// turns reports whether the text has marks that clean shows.
export const turns = (text) => text.search(hidden) >= 0;

// cleanLine is clean for what must stay in one line.
export const cleanLine = (text) => clean(text).replace(/\s+/g, ' ').trim();

export const cut = (text, n) => (text.length > n ? text.slice(0, n) + '…' : text);

export const plural = (n, word) => `${thousands(n)} ${word}${n === 1 ? '' : 's'}`;

export const thousands = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ',');

// span is how long something took, from seconds.
export function span(seconds) {
  const s = Math.max(seconds || 0, 0);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(Math.floor(s % 60)).padStart(2, '0')} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function usd(n) {
  if (n > 0 && n < 0.01) return '<$0.01';
  return `$${(n || 0).toFixed(2)}`;
}

// amount writes an Amount of the ledger.
export function amount(a) {
  if (!a) return '$0.00';
  const t = a.unpriced_tokens || 0;
  if (t && !a.usd) return `${tokens(t)} tokens spent`;
  return usd(a.usd || 0) + (t ? ` + ${tokens(t)} tokens` : '');
}

export function tokens(n) {
  if (n < 1000) return String(n);
  if (n < 1e6) return `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)}k`;
  return `${(n / 1e6).toFixed(1)}M`;
}

// number writes a metric's value.
export function number(v) {
  if (v === null || v === undefined) return '–';
  if (typeof v !== 'number') return String(v);
  if (!Number.isFinite(v)) return String(v);
  const a = Math.abs(v);
  if (a !== 0 && (a < 0.001 || a >= 1e6)) return v.toExponential(2);
  return String(Number(v.toPrecision(4)));
}

// when is a time as a list shows it: the clock for today, else the date too. All
// times of the server have their zone.
export function when(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return '';
  const now = new Date();
  const clock = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  if (at.toDateString() === now.toDateString()) return clock;
  const day = { day: 'numeric', month: 'short' };
  if (at.getFullYear() !== now.getFullYear()) day.year = 'numeric';
  return `${at.toLocaleDateString([], day)} ${clock}`;
}

// fully is a time in full.
export const fully = (text) => {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? '' : at.toLocaleString([], { dateStyle: 'full', timeStyle: 'medium' });
};
