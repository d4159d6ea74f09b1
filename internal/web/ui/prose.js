// Draws Markdown as elements. A picture is a link: nothing is loaded from
// elsewhere because a text says so.

import { h, link, copyButton } from './dom.js';
import { blocks } from './markdown.js';
import { clean } from './words.js';
import { coloured } from './code.js';

// prose draws a whole text.
export function prose(text) {
  return h('div', { class: 'prose' }, blocks(lines(text)).map(drawBlock));
}

const lines = (text) => text.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n');

// A Growing text is drawn as it comes: what is before its last block is drawn
// once.
export class Growing {
  constructor() {
    this.el = h('div', { class: 'prose' });
    this.base = 0; // of the text: what is before it is drawn for good
    this.drawn = '';
    this.last = []; // the elements of the last block
  }

  set(text) {
    if (text === this.drawn) return;
    if (!text.startsWith(this.drawn.slice(0, this.base))) {
      this.base = 0;
      this.last = [];
      this.el.replaceChildren();
    }
    this.drawn = text;
    const rest = text.slice(this.base);
    const all = rest.split('\n');
    const found = blocks(lines(rest));
    for (const el of this.last) el.remove();
    this.last = found.map(drawBlock);
    this.el.append(...this.last);
    this.el.classList.toggle('long', this.el.childElementCount > 80);
    if (rest.includes('\r')) return;
    // Where a block begins is certain once the line after its first is whole.
    const n = found.findLastIndex((b) => b.from + 2 < all.length);
    if (n < 1) return;
    for (let i = 0; i < found[n].from; i++) this.base += all[i].length + 1;
    this.last = this.last.slice(n);
  }
}

function drawBlock(b) {
  switch (b.t) {
    case 'heading': return h(`h${Math.min(b.level + 2, 6)}`, { class: `h${b.level}` }, drawAll(b.c));
    case 'rule': return h('hr');
    case 'quote': return h('blockquote', null, b.c.map(drawBlock));
    case 'code': return codeBlock(b.text, b.lang, b.open);
    case 'laidOut': return h('pre', { class: 'laid-out', tabindex: '0' }, clean(b.text));
    case 'list': return drawList(b);
    case 'table': return drawTable(b);
    default: return h('p', null, drawAll(b.c));
  }
}

// codeBlock is code with a button that copies it.
export function codeBlock(text, lang, growing) {
  return h('figure', { class: 'code' },
    h('figcaption', null, h('span', null, clean(lang || 'text').slice(0, 30)), copyButton(() => text)),
    h('pre', { tabindex: '0' }, h('code', null, growing ? clean(text) : coloured(clean(text), lang))));
}

function drawList(b) {
  const items = b.items.map((item) => {
    const c = item.c.flatMap((n) => (n.t === 'p' && !b.loose ? drawAll(n.c) : [drawBlock(n)]));
    if (item.done === undefined) return h('li', null, c);
    return h('li', { class: 'task' }, h('span', { class: 'box', role: 'img', 'aria-label': item.done ? 'done' : 'to do' }, item.done ? '☑' : '☐'), ' ', c);
  });
  return h(b.ordered ? 'ol' : 'ul', b.ordered && b.start !== 1 ? { start: b.start } : null, items);
}

function drawTable(b) {
  const cell = (tag, c, i) => h(tag, b.align[i] ? { class: b.align[i] } : null, drawAll(c));
  return h('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': 'table' }, h('table', null,
    h('thead', null, h('tr', null, b.head.map((c, i) => cell('th', c, i)))),
    h('tbody', null, b.rows.map((row) => h('tr', null, row.map((c, i) => cell('td', c, i)))))));
}

const drawAll = (nodes) => nodes.map(drawInline);

function drawInline(n) {
  switch (n.t) {
    case 'text': return clean(n.s);
    case 'br': return h('br');
    case 'codespan': return h('code', null, clean(n.s));
    case 'link': return link(n.to, drawAll(n.c));
    case 'image': return h('span', { class: 'picture' }, 'picture: ', link(n.to, n.c.length ? drawAll(n.c) : n.to));
    case 'em': return h('em', null, drawAll(n.c));
    case 'strong': return h('strong', null, drawAll(n.c));
    default: return h('del', null, drawAll(n.c));
  }
}
