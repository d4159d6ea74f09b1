// Reads the Markdown that models write into a tree. It takes time in proportion
// to the text, whatever the text is. prose.js draws the tree.

const deepest = 8; // quotes and lists in each other

// blocks reads lines into blocks. Each has from, the number of its first line:
// what is before the last block stays as it is when more text comes.
export function blocks(lines, depth = 0) {
  const out = [];
  let i = 0;
  while (i < lines.length) {
    if (!lines[i].trim()) { i++; continue; }
    const from = i;
    const [node, next] = block(lines, i, depth);
    node.from = from;
    out.push(node);
    i = next;
  }
  return out;
}

const fenceLine = /^( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$/;
const headingLine = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const ruleLine = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const quoteLine = /^ {0,3}> ?/;
const itemLine = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*))?$/;
const gapLine = /[^\s.!?:;,>*+-] {2,}[^\s|]/;
const rowsLine = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

function block(lines, i, depth) {
  const line = lines[i];
  let m;
  if ((m = fenceLine.exec(line))) return fence(lines, i, m);
  if ((m = headingLine.exec(line))) return [{ t: 'heading', level: m[1].length, c: inline((m[2] || '').replace(/[ \t]+#+[ \t]*$/, '')) }, i + 1];
  if (ruleLine.test(line)) return [{ t: 'rule' }, i + 1];
  if (/^ {4}/.test(line)) return indented(lines, i);
  if (isLaidOut(lines, i)) return laidOut(lines, i);
  if (depth < deepest && quoteLine.test(line)) return quote(lines, i, depth);
  if (depth < deepest && itemLine.test(line)) return list(lines, i, depth);
  if (isTable(lines, i)) return table(lines, i);
  return paragraph(lines, i, depth);
}

function fence(lines, i, [, indent, mark, info]) {
  const code = [];
  const end = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}[ \\t]*$`);
  const strip = new RegExp(`^ {0,${indent.length}}`);
  let j = i + 1;
  for (; j < lines.length && !end.test(lines[j]); j++) code.push(indent ? lines[j].replace(strip, '') : lines[j]);
  return [{ t: 'code', lang: info.trim().split(/\s+/)[0] || '', text: code.join('\n'), open: j >= lines.length }, j + 1];
}

function quote(lines, i, depth) {
  const inner = [];
  let j = i;
  for (; j < lines.length && lines[j].trim(); j++) {
    if (!quoteLine.test(lines[j]) && begins(lines, j, depth)) break;
    inner.push(lines[j].replace(quoteLine, ''));
  }
  return [{ t: 'quote', c: blocks(inner, depth + 1) }, j];
}

// begins reports whether a line ends the paragraph before it.
function begins(lines, i, depth) {
  const line = lines[i];
  if (fenceLine.test(line) || headingLine.test(line) || ruleLine.test(line) || isTable(lines, i) || isLaidOut(lines, i)) return true;
  if (depth >= deepest) return false;
  if (quoteLine.test(line)) return true;
  const m = itemLine.exec(line);
  return !!m && !!m[4] && (!/\d/.test(m[2]) || parseInt(m[2], 10) === 1);
}

function list(lines, i, depth) {
  const first = itemLine.exec(lines[i]);
  const ordered = /\d/.test(first[2]);
  const node = { t: 'list', ordered, start: ordered ? parseInt(first[2], 10) : 0, loose: false, items: [] };
  const mark = first[2].slice(-1);
  let j = i;
  while (j < lines.length) {
    const m = itemLine.exec(lines[j]);
    if (!m || m[2].slice(-1) !== mark || ruleLine.test(lines[j])) break;
    const space = m[3] && m[3].length <= 4 ? m[3].length : 1;
    const width = m[1].length + m[2].length + space;
    const inner = [m[4] || ''];
    let blank = false;
    for (j++; j < lines.length; j++) {
      const line = lines[j];
      if (!line.trim()) { blank = true; inner.push(''); continue; }
      const indent = line.length - line.trimStart().length;
      if (indent >= Math.min(width, 4) || (indent >= 2 && indent > m[1].length)) {
        if (blank) node.loose = true;
        blank = false;
        inner.push(line.slice(Math.min(indent, width)));
        continue;
      }
      if (blank || itemLine.test(line) || begins(lines, j, depth)) break;
      inner.push(line);
    }
    if (blank && itemLine.exec(lines[j] || '')?.[2].slice(-1) === mark) node.loose = true;
    let done;
    const task = /^\[([ xX])\][ \t]+/.exec(inner[0]);
    if (task) {
      done = task[1] !== ' ';
      inner[0] = inner[0].slice(task[0].length);
    }
    node.items.push({ done, c: blocks(inner, depth + 1) });
  }
  return [node, j];
}

function isTable(lines, i) {
  return i + 1 < lines.length && lines[i].includes('|') && lines[i + 1].includes('-') && rowsLine.test(lines[i + 1])
    && cells(lines[i]).length === cells(lines[i + 1]).length;
}

// indented is code that four spaces make, which is not told a language.
function indented(lines, i) {
  let j = i + 1;
  for (let n = j; n < lines.length && (!lines[n].trim() || /^ {4}/.test(lines[n])); n++) if (lines[n].trim()) j = n + 1;
  return [{ t: 'laidOut', text: lines.slice(i, j).map((l) => l.slice(4)).join('\n') }, j];
}

// isLaidOut reports whether spaces make columns of two lines, as programs print
// tables. Two spaces behind a sentence make none.
function isLaidOut(lines, i) {
  return i + 1 < lines.length && gapLine.test(lines[i]) && gapLine.test(lines[i + 1]) && !lines[i].includes('|') && !itemLine.test(lines[i]);
}

function laidOut(lines, i) {
  let j = i + 2;
  while (j < lines.length && lines[j].trim() && !fenceLine.test(lines[j])) j++;
  return [{ t: 'laidOut', text: lines.slice(i, j).join('\n') }, j];
}

function cells(line) {
  const out = [];
  let cell = '';
  let text = line.trim();
  if (text.startsWith('|')) text = text.slice(1);
  if (/(^|[^\\])\|$/.test(text)) text = text.slice(0, -1);
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && text[i + 1] === '|') { cell += '|'; i++; continue; }
    if (text[i] === '|') { out.push(cell.trim()); cell = ''; continue; }
    cell += text[i];
  }
  out.push(cell.trim());
  return out;
}

function table(lines, i) {
  const head = cells(lines[i]);
  const align = cells(lines[i + 1]).map((c) => (c.endsWith(':') ? (c.startsWith(':') ? 'center' : 'right') : ''));
  const rows = [];
  let j = i + 2;
  for (; j < lines.length && lines[j].trim() && lines[j].includes('|'); j++) rows.push(cells(lines[j]).slice(0, head.length).map(inline));
  return [{ t: 'table', head: head.map(inline), align, rows }, j];
}

function paragraph(lines, i, depth) {
  const text = [lines[i].trimStart()];
  let j = i + 1;
  for (; j < lines.length && lines[j].trim(); j++) {
    if (/^ {0,3}(=+|-+)[ \t]*$/.test(lines[j]) && j === i + 1) {
      return [{ t: 'heading', level: lines[j].includes('=') ? 1 : 2, c: inline(text.join('\n').trimEnd()) }, j + 1];
    }
    if (begins(lines, j, depth)) break;
    text.push(lines[j].trimStart());
  }
  return [{ t: 'p', c: inline(text.join('\n').trimEnd()) }, j];
}

const token = new RegExp([
  /\\([!-/:-@[-`{-~\n])/, // 1 an escape
  /(`+)/, // 2
  /<(https?:\/\/[^\s<>]+)>/, // 3
  /(https?:\/\/[^\s<>"'`|*]+)/, // 4
  /(!?\[)/, // 5
  /\](?:\(\s*(<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*)(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*\))?/, // 6
  /(\*+|_+|~~)/, // 7
  /( {2,}\n)/, // 8
].map((r) => r.source).join('|'), 'g');

// inline reads the text of a block.
export function inline(text) {
  const r = new Inline(text);
  token.lastIndex = 0;
  let at = 0;
  for (let m; (m = token.exec(text));) {
    if (m.index > at) r.text(text.slice(at, m.index));
    at = token.lastIndex = r.token(m, token.lastIndex);
  }
  if (at < text.length) r.text(text.slice(at));
  return r.end();
}

class Inline {
  constructor(source) {
    this.source = source;
    this.out = [];
    this.brackets = []; // where they are in out
    this.open = []; // marks that may begin emphasis
    this.count = { '*': 0, _: 0, '~': 0 };
    this.ticks = null;
  }

  text(s) {
    const last = this.out[this.out.length - 1];
    if (last && last.t === 'text' && !last.mark) last.s += s;
    else this.out.push({ t: 'text', s });
  }

  // token takes what was found and returns where to read on.
  token(m, end) {
    const [all, escaped, ticks, angle, bare, bracket, to, mark, hard] = m;
    if (escaped !== undefined) {
      if (escaped === '\n') this.out.push({ t: 'br' });
      else this.text(escaped);
    } else if (ticks) return this.code(m.index, ticks.length);
    else if (angle) this.out.push({ t: 'link', to: angle, c: [{ t: 'text', s: angle }] });
    else if (bare) return this.bare(m.index, bare);
    else if (bracket) {
      this.brackets.push(this.out.length);
      this.out.push({ t: 'text', s: bracket, mark: true });
    } else if (mark) this.mark(mark, m.index, end);
    else if (hard) this.out.push({ t: 'br' });
    else this.close(all, to);
    return end;
  }

  // code is what stands between runs of as many ticks.
  code(at, n) {
    if (!this.ticks) {
      this.ticks = new Map();
      for (const t of this.source.matchAll(/`+/g)) {
        if (!this.ticks.has(t[0].length)) this.ticks.set(t[0].length, { at: [], next: 0 });
        this.ticks.get(t[0].length).at.push(t.index);
      }
    }
    const runs = this.ticks.get(n) || { at: [], next: 0 };
    while (runs.next < runs.at.length && runs.at[runs.next] <= at) runs.next++;
    if (runs.next === runs.at.length) {
      this.text('`'.repeat(n));
      return at + n;
    }
    let s = this.source.slice(at + n, runs.at[runs.next]).replace(/\n/g, ' ');
    if (s.length > 2 && s.startsWith(' ') && s.endsWith(' ') && s.trim()) s = s.slice(1, -1);
    this.out.push({ t: 'codespan', s });
    return runs.at[runs.next] + n;
  }

  // bare is an address in the text, without the stops that end the sentence.
  bare(at, url) {
    let to = url.replace(/[.,;:!?\]]+$/, '');
    while (to.endsWith(')') && to.split(')').length > to.split('(').length) to = to.slice(0, -1).replace(/[.,;:!?\]]+$/, '');
    this.out.push({ t: 'link', to, c: [{ t: 'text', s: to }] });
    return at + to.length;
  }

  close(all, to) {
    const from = this.brackets.pop();
    if (from === undefined || to === undefined) {
      this.text(all);
      return;
    }
    const image = this.out[from].s === '![';
    while (this.open.length && this.open[this.open.length - 1].at > from) this.count[this.open.pop().char]--;
    const c = this.out.splice(from).slice(1).map(plain);
    if (to.startsWith('<')) to = to.slice(1, -1);
    this.out.push(image ? { t: 'image', to, c } : { t: 'link', to, c });
  }

  mark(run, at, end) {
    const char = run[0];
    const before = this.source[at - 1] || ' ';
    const after = this.source[end] || ' ';
    const word = /[\p{L}\p{N}]/u;
    let opens = !/\s/.test(after) && (word.test(after) || /\s/.test(before) || !word.test(before) || char === '~');
    let closes = !/\s/.test(before) && (word.test(before) || /\s/.test(after) || !word.test(after) || char === '~');
    if (char === '_') {
      opens = opens && !word.test(before);
      closes = closes && !word.test(after);
    }
    let left = run.length;
    while (closes && left > 0 && this.count[char] > 0) left -= this.wrap(char, left);
    if (!left) return;
    this.out.push({ t: 'text', s: char.repeat(left), mark: true });
    if (opens && left <= 3) {
      this.open.push({ char, at: this.out.length - 1, left });
      this.count[char]++;
    }
  }

  // wrap closes the nearest mark and returns how many signs that took.
  wrap(char, left) {
    let o;
    do {
      o = this.open.pop();
      this.count[o.char]--;
    } while (o.char !== char);
    const n = char === '~' ? 2 : Math.min(left, o.left, 2);
    const c = this.out.splice(o.at + 1).map(plain);
    while (this.brackets.length && this.brackets[this.brackets.length - 1] > o.at) this.brackets.pop();
    this.out.pop();
    if (o.left > n) {
      this.out.push({ t: 'text', s: char.repeat(o.left - n), mark: true });
      this.open.push({ char, at: this.out.length - 1, left: o.left - n });
      this.count[char]++;
    }
    this.out.push({ t: char === '~' ? 'del' : n === 2 ? 'strong' : 'em', c });
    return n;
  }

  end() { return this.out.map(plain); }
}

const plain = (node) => (node.mark ? { t: 'text', s: node.s } : node);
