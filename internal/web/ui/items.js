// Draws the items of a transcript. An item that was drawn is changed in place,
// so that what is open stays open and what is chosen stays chosen.

import { h, put, button, webAddress, link } from './dom.js';
import { Growing, prose } from './prose.js';
import { clean, cleanLine, plural, span, when, fully, usd } from './words.js';
import { headline } from './record.js';
import { change, changeOf, fields, language, plainLines, coloured, isDiff } from './code.js';

// drawItem returns the element of an item. doing has goOn() and, but for a
// sub-agent's, again(item) and agent(item).
export function drawItem(item, doing) {
  return draw[item.kind](item, doing);
}

const draw = {
  prompt(item, doing) {
    if (item.el) return item.el;
    const long = item.text.length > 4000 || item.text.split('\n').length > 30;
    const text = long ? plainLines(item.text, 12) : h('div', { class: 'said' }, clean(item.text));
    return h('article', { class: `item prompt${item.steer ? ' steer' : ''}`, 'aria-label': doing.again ? 'You said' : 'Task' },
      h('header', null, h('span', { class: 'who' }, !doing.again ? 'Task' : item.steer ? 'You, to the turn at work' : 'You'),
        h('time', { datetime: item.at, title: fully(item.at) }, when(item.at)),
        doing.again && item.seq ? button('Say it anew', () => doing.again(item), { class: 'quiet', title: 'In a copy of the session that ends before this prompt' }) : null),
      text, item.pictures.map((p) => h('div', { class: 'muted' }, `picture: ${p}`)));
  },

  reply(item) {
    if (!item.growing) {
      item.growing = new Growing();
      item.root = h('article', { class: 'item reply', 'aria-label': 'Reply' }, item.growing.el);
    }
    item.root.classList.toggle('live', !!item.live);
    item.growing.set(item.text);
    return item.root;
  },

  thought(item) {
    if (!item.root) {
      item.label = h('summary');
      item.body = h('div', { class: 'thinking' });
      item.root = h('details', { class: 'item thought', ontoggle: () => { if (item.root.open) item.body.textContent = clean(item.text); } }, item.label, item.body);
    }
    item.root.classList.toggle('live', !!item.live);
    item.label.textContent = item.live ? 'Thinking…' : item.seconds >= 1 ? `Thought for ${span(item.seconds)}` : 'Thought';
    if (item.root.open) item.body.textContent = clean(item.text);
    return item.root;
  },

  call: drawCall,

  word(item, doing) {
    if (item.el) return item.el;
    if (item.line) {
      return h('details', { class: 'item line' }, h('summary', null, clean(item.text)), item.more ? prose(item.more) : null);
    }
    const text = item.label ? `${item.label}: ${item.text}` : item.text;
    const el = item.fold ? h('details', { class: 'item word' }, h('summary', null, cleanLine(text).slice(0, 160)), h('div', { class: 'said' }, clean(item.text)))
      : h('div', { class: 'item word' }, h('div', { class: 'said' }, clean(text)));
    if (item.goOn) el.append(button('Go on', () => doing.goOn(), { class: 'go-on' }));
    return el;
  },

  failure(item, doing) {
    if (item.el) return item.el;
    return h('div', { class: 'item failure', role: 'group', 'aria-label': 'The turn failed' }, h('div', { class: 'said' }, clean(item.text)), button('Go on', () => doing.goOn(), { class: 'go-on' }));
  },

  run(item) {
    if (!item.root) {
      item.mark = h('span', { class: 'mark', role: 'img' });
      item.out = h('pre', { tabindex: '0' });
      item.fault = h('span', { class: 'fault' });
      item.root = h('section', { class: 'item run', 'aria-label': 'Your command' }, h('div', { class: 'head' }, item.mark, h('code', null, `! ${clean(item.text)}`), item.fault), item.out);
    }
    const state = item.live ? 'running' : item.err ? 'failed' : 'done';
    item.root.dataset.state = state;
    item.mark.textContent = marks[state];
    item.mark.setAttribute('aria-label', states[state]);
    item.fault.textContent = clean(item.err || '');
    item.out.hidden = !item.logs.length;
    item.out.textContent = (item.lines > item.logs.length ? `… ${plural(item.lines - item.logs.length, 'line')} above\n` : '') + clean(item.logs.join('\n'));
    return item.root;
  },

  answer(item) {
    if (item.el) return item.el;
    return h('section', { class: `item answer${item.bad ? ' failure' : ''}`, 'aria-label': 'Answer of a command' }, item.command ? h('div', { class: 'muted' }, clean(item.command)) : null, item.bad ? h('div', { class: 'said' }, clean(item.text)) : prose(item.text));
  },
};

const marks = { pending: '·', asked: '?', running: '', waiting: '◷', done: '✓', failed: '✗', denied: '⊘' };
const states = { pending: 'not begun', asked: 'waits for your word', running: 'running', waiting: 'waiting', done: 'done', failed: 'failed', denied: 'not run' };
const liveLines = 3;

// drawCall draws one line with the state, what is called, what came of it and how
// long it took; below it the last live lines or a change; all of it when opened.
function drawCall(item, doing) {
  if (!item.root) buildCall(item, doing);
  const state = item.over && item.state === 'running' ? 'cut' : item.over ? 'over' : item.state;
  item.root.dataset.state = state;
  item.mark.textContent = state === 'cut' || state === 'over' ? '–' : marks[item.state];
  item.mark.setAttribute('aria-label', state === 'cut' ? 'cut off' : state === 'over' ? 'not run' : states[item.state]);
  item.title.textContent = clean(item.name);
  item.headEl.textContent = headline(item.args);
  item.headEl.title = headline(item.args).slice(0, 1000);
  item.editedEl.hidden = !item.edited;
  const more = outcome(item);
  item.outcomeEl.textContent = more;
  item.outcomeEl.hidden = !more;
  tick(item);
  const running = (item.state === 'running' || item.state === 'waiting') && !item.over;
  item.live3.hidden = !running || !item.logs.length || item.root.open;
  if (!item.live3.hidden) item.live3.textContent = clean(item.logs.slice(-liveLines).join('\n'));
  const key = `${item.args.length}/${item.edited ? 1 : 0}`;
  if (item.changeKey !== key) {
    item.changeKey = key;
    const lines = item.state === 'denied' ? null : changeOf(item.name, item.args);
    put(item.changeEl, lines?.length ? change(lines, 14) : null);
  }
  if (item.root.open) fillCall(item, doing);
  return item.box;
}

function buildCall(item, doing) {
  item.mark = h('span', { class: 'mark', role: 'img' });
  item.title = h('span', { class: 'name' });
  item.headEl = h('span', { class: 'args' });
  item.editedEl = h('span', { class: 'edited' }, 'changed by you');
  item.timeEl = h('span', { class: 'time' });
  item.outcomeEl = h('div', { class: 'outcome' });
  item.live3 = h('pre', { class: 'live-lines', 'aria-hidden': 'true' });
  item.changeEl = h('div', { class: 'change' });
  item.body = h('div', { class: 'body' });
  item.root = h('details', { class: 'call', ontoggle: () => { item.bodyKey = ''; drawCall(item, doing); } },
    h('summary', null, item.mark, h('span', { class: 'what' }, item.title, ' ', item.headEl), item.editedEl, item.timeEl), item.body);
  item.box = h('section', { class: 'item call-box', 'aria-label': `Tool ${item.name}` }, item.root, item.outcomeEl, item.live3, item.changeEl);
  if (item.name === 'research' && doing.agent) item.outcomeEl.before(button('What the sub-agent does', () => doing.agent(item), { class: 'quiet agent' }));
}

// fillCall fills the body of a call that is open.
function fillCall(item) {
  const key = `${item.state}/${item.args.length}/${item.result.length}/${item.state === 'running' ? item.lines : 0}`;
  if (item.bodyKey === key) return;
  item.bodyKey = key;
  const parts = [];
  if (!item.changeEl.firstChild) parts.push(args(item.args));
  if (item.result) {
    parts.push(h('div', { class: 'label' }, item.state === 'failed' ? 'Error' : 'Result'));
    parts.push(isDiff(item.result) ? change(item.result.split('\n'), 80) : plainLines(item.result, 60));
  } else if (item.logs.length) {
    const above = item.lines - item.logs.length;
    parts.push(h('div', { class: 'label' }, above > 0 ? `Output so far, without ${plural(above, 'line')} above` : 'Output so far'), h('pre', { tabindex: '0' }, clean(item.logs.join('\n'))));
  }
  if (item.full) parts.push(h('div', { class: 'muted' }, 'All of it is in ', h('code', null, clean(item.full))));
  for (const a of item.artifacts || []) {
    parts.push(h('div', { class: 'artifact' }, `${clean(a.kind)}: `, a.url && webAddress(a.url) ? link(a.url, clean(a.url)) : h('code', null, clean(a.path || a.url || ''))));
  }
  if (item.cost) parts.push(h('div', { class: 'muted' }, `It cost ${usd(item.cost)}.`));
  put(item.body, parts);
}

// args draws what a call is given, a field each.
export function args(text) {
  const all = fields(text);
  if (!all) return plainLines(text, 40);
  const rows = Object.keys(all).sort().flatMap((name) => {
    const v = all[name];
    const value = typeof v === 'string' ? v : JSON.stringify(v, null, 2);
    const lang = name === 'command' ? 'sh' : name === 'script' ? 'python' : language(all.path || '');
    const shown = value.includes('\n') || value.length > 200 ? script(value, typeof v === 'string' ? lang : 'json', 40) : h('code', null, clean(value));
    return [h('dt', null, clean(name)), h('dd', null, shown)];
  });
  return h('dl', { class: 'args-list' }, rows);
}

// script is code, at first no more than n lines.
export function script(text, lang, n) {
  const lines = text.split('\n');
  if (lines.length > n + 5) return plainLines(text, n);
  return h('pre', { tabindex: '0' }, h('code', null, coloured(clean(text), lang)));
}

// outcome is what came of a call, in a line or few.
function outcome(item) {
  if (item.over) return item.state === 'running' ? 'cut off' : 'not run';
  switch (item.state) {
    case 'failed': return [withoutEcho(item), lastLine(item.result)].filter((w, i, all) => w && !(i && all[0].includes(w))).join(' — ');
    case 'denied': return `not run: ${item.why || 'it was refused'}`;
    case 'asked': return 'waits for your word';
    case 'waiting': return item.waits;
    case 'done': return changeOf(item.name, item.args) ? '' : withoutEcho(item);
    default: return '';
  }
}

// lastLine is the last that the tool itself printed.
const lastLine = (text) => cleanLine((text || '').trim().split('\n').filter((l) => !/^\[.*\]$/.test(l)).pop()).slice(0, 400);

// withoutEcho leaves out of a summary what the line says already.
function withoutEcho(item) {
  const line = headline(item.args);
  let s = item.summary || '';
  if (line) s = s.replace(`: ${line}`, '').replace(`${item.name} ${line}`, '');
  const colon = s.indexOf(': ');
  if (colon > 0 && s.endsWith('…') && line.startsWith(s.slice(colon + 2, -1))) s = s.slice(0, colon);
  s = s.replace(/, \d+(\.\d+)? s$/, '').replace(/^[:, ]+|[:, ]+$/g, '');
  return /^exit (status )?0$/.test(s) ? '' : s;
}

// tick writes how long a call runs or ran.
export function tick(item) {
  if (item.kind !== 'call' || !item.timeEl) return;
  const running = (item.state === 'running' || item.state === 'waiting') && !item.over;
  const text = running && item.began ? span(Math.max(0, Math.floor((Date.now() - item.began) / 1000))).replace('.0 s', ' s') : item.seconds >= 1 ? span(item.seconds) : '';
  if (item.timeEl.textContent !== text) item.timeEl.textContent = text;
}
