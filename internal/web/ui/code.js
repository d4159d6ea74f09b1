// Colours for code and changes.

import { h } from './dom.js';
import { clean, plural } from './words.js';

const words = new Set(('and as assert async await break case catch class const continue def default defer del do done echo elif else end enum except export extends fi finally fn '
  + 'for from func function go if impl import in interface is lambda let local match mod mut new nil None not null of or package pass pub raise range return select self set '
  + 'static struct switch then this throw True False true false try type use var while with yield').split(' '));
const sql = new Set('select from where group by order join on as and or not insert into values update set delete create table limit having with'.split(' '));

const hashes = /^(py|python|sh|bash|shell|zsh|console|r|ruby|rb|yaml|yml|toml|make|makefile|dockerfile|perl|elixir)$/i;
const dashes = /^(sql|lua|haskell|hs)$/i;

const most = 60000; // longer code stays plain

// coloured is code as pieces: comments, strings, numbers and words of the
// language. It knows no grammar, which is enough to read by.
export function coloured(text, lang) {
  const l = (lang || '').toLowerCase();
  if (l === 'diff' || l === 'patch') return diffLines(text.split('\n'));
  if (text.length > most || !l || /^(text|txt|plain|output|log|csv|markdown|md)$/.test(l)) return text;
  const comment = hashes.test(l) ? '#[^\\n]*' : dashes.test(l) ? '--[^\\n]*' : '\\/\\/[^\\n]*|\\/\\*[^]*?(?:\\*\\/|$)';
  const piece = new RegExp(`(${comment})|("""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\\\.|[^"\\\\\\n])*"?|'(?:\\\\.|[^'\\\\\\n])*'?|\`(?:\\\\.|[^\`\\\\])*\`?)|\\b(\\d[\\w.]*)|\\b([A-Za-z_]\\w*)`, 'g');
  const out = [];
  let at = 0;
  const known = l === 'sql' ? (w) => sql.has(w.toLowerCase()) : (w) => words.has(w);
  for (const m of text.matchAll(piece)) {
    const kind = m[1] !== undefined ? 'c' : m[2] !== undefined ? 's' : m[3] !== undefined ? 'n' : known(m[4]) ? 'k' : '';
    if (!kind) continue;
    if (m.index > at) out.push(text.slice(at, m.index));
    out.push(h('span', { class: `tok-${kind}` }, m[0]));
    at = m.index + m[0].length;
  }
  out.push(text.slice(at));
  return out;
}

export const isDiff = (text) => text.startsWith('--- ') && text.includes('\n@@ ');

function diffLines(all) {
  return all.map((line) => {
    const kind = /^(---|\+\+\+|diff |index )/.test(line) ? 'file' : line[0] === '+' ? 'add' : line[0] === '-' ? 'del' : line.startsWith('@@') ? 'at' : '';
    return h('span', kind ? { class: `d-${kind}` } : null, line + '\n');
  });
}

// language guesses from a file's name.
export const language = (name) => (/\.(\w+)$/.exec(name || '')?.[1] || '');

// changeOf is what the arguments of edit or write ask for, as lines of a change;
// null for other calls.
export function changeOf(name, args) {
  if (name !== 'edit' && name !== 'write') return null;
  const a = fields(args);
  if (!a) return null;
  const text = (v) => (typeof v === 'string' && v ? v.replace(/\n$/, '').split('\n') : []);
  return name === 'edit' ? lineDiff(text(a.old), text(a.new)) : text(a.content).map((l) => '+' + l);
}

// fields are arguments that are an object, else null.
export function fields(args) {
  try {
    const a = JSON.parse(args);
    return a && typeof a === 'object' && !Array.isArray(a) ? a : null;
  } catch {
    return null;
  }
}

// lineDiff compares what is between the lines that both have at their ends.
function lineDiff(a, b) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);
  const near = 3;
  return [
    ...a.slice(Math.max(head - near, 0), head).map((l) => ' ' + l),
    ...(x.length * y.length > 250000 ? [...x.map((l) => '-' + l), ...y.map((l) => '+' + l)] : common(x, y)),
    ...a.slice(a.length - tail, a.length - tail + near).map((l) => ' ' + l),
  ];
}

// common finds the longest run of lines that both have.
function common(x, y) {
  const w = y.length + 1;
  const best = new Uint16Array((x.length + 1) * w);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      best[i * w + j] = x[i] === y[j] ? best[(i + 1) * w + j + 1] + 1 : Math.max(best[(i + 1) * w + j], best[i * w + j + 1]);
    }
  }
  const out = [];
  let i = 0;
  let j = 0;
  while (i < x.length && j < y.length) {
    if (x[i] === y[j]) { out.push(' ' + x[i++]); j++; } else if (best[(i + 1) * w + j] >= best[i * w + j + 1]) out.push('-' + x[i++]);
    else out.push('+' + y[j++]);
  }
  while (i < x.length) out.push('-' + x[i++]);
  while (j < y.length) out.push('+' + y[j++]);
  return out;
}

// capped draws lines, at first no more than n of them.
export function capped(all, n, draw, props) {
  const pre = h('pre', { tabindex: '0', ...props });
  if (all.length <= n + 5) {
    pre.append(...[draw(all)].flat());
    return pre;
  }
  pre.append(...[draw(all.slice(0, n))].flat());
  const more = h('button', { type: 'button', class: 'more' }, `Show all: ${plural(all.length - n, 'more line')}`);
  more.addEventListener('click', () => {
    pre.replaceChildren(...[draw(all)].flat());
    more.remove();
    pre.focus();
  });
  return h('div', { class: 'capped' }, pre, more);
}

const widest = 4000; // of a line: what is longer is cut until all is shown

// plainLines draws the lines of a text, at first no more than n.
export function plainLines(text, n) {
  const all = text.replace(/\n+$/, '').split('\n');
  if (all.length <= n && text.length > 40000) {
    const short = all.map((l) => (l.length > widest ? l.slice(0, widest) + '…' : l));
    const pre = h('pre', { tabindex: '0' }, clean(short.join('\n')));
    const more = h('button', { type: 'button', class: 'more' }, 'Show all: the long lines in full');
    more.addEventListener('click', () => { pre.textContent = clean(text); more.remove(); });
    return h('div', { class: 'capped' }, pre, more);
  }
  return capped(all, n, (l) => clean(l.join('\n')));
}

// change draws the lines of a change.
export const change = (all, n) => capped(all.map(clean), n, diffLines, { class: 'diff' });
