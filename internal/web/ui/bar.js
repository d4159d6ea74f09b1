// How things stand: the title above, and below the prompt the model, what it may
// do, how full its window is and what was spent.

import { h, put, button } from './dom.js';
import { pick } from './dialogs.js';
import { amount, cleanLine, span, tokens, usd } from './words.js';

// A Bar has set(what) called when a person chose something: {model} and the like.
export class Bar {
  constructor(el, on) {
    this.on = on;
    this.server = { models: [], efforts: [], modes: [] };
    this.unconfined = h('strong', { class: 'unconfined', hidden: true, title: 'Commands run without walls around them' }, 'UNCONFINED');
    this.model = button('model', () => this.chooseModel(), { class: 'quiet model', title: 'Model' });
    this.effort = h('select', { 'aria-label': 'Effort: how hard the model thinks', onchange: () => on.set({ effort: this.effort.value }) });
    this.mode = h('select', { 'aria-label': 'Approval: what runs without asking', onchange: () => on.set({ mode: this.mode.value }) });
    this.window = h('span', { class: 'window' });
    this.money = h('span', { class: 'money' });
    this.walls = h('span', { class: 'muted walls' });
    this.hub = h('span', { class: 'muted hub' });
    put(el, this.unconfined, this.model, this.effort, this.mode, this.window, this.money, this.walls, this.hub);
  }

  serverIs(server) {
    this.server = server;
    this.options();
  }

  options() {
    const fill = (select, all) => put(select, all.map((v) => h('option', { value: v }, v)));
    fill(this.effort, [...new Set(['default', ...(this.server.efforts || [])])]);
    fill(this.mode, this.server.modes || []);
  }

  chooseModel() {
    const items = (this.server.models || []).map((m) => ({ id: m.id, title: m.id, detail: m.title || '' }));
    pick('Model', items, (item) => this.on.set({ model: item.id }));
  }

  // show tells how things stand; of a session that is not open here less is known.
  show(s) {
    const walls = s.confinement || '';
    const open = walls.includes('UNCONFINED') || (!s.confinement && this.server.unconfined);
    this.unconfined.hidden = !open;
    this.model.textContent = cleanLine(s.model || this.server.model || 'choose a model');
    choose(this.effort, s.effort || 'default');
    choose(this.mode, s.mode || '');
    this.mode.classList.toggle('warn', s.mode === 'auto');
    const share = s.window > 0 ? Math.floor((100 * (s.context || 0)) / s.window) : 0;
    this.window.textContent = !s.context ? '' : s.window > 0 ? `${share}% of ${tokens(s.window)}` : `${tokens(s.context)} tokens`;
    this.window.title = 'How full the model’s window is';
    this.window.classList.toggle('warn', share >= 80);
    const cap = s.cap?.usd || 0;
    this.money.textContent = s.spent ? amount(s.spent) + (cap > 0 ? ` of ${usd(cap)}` : '') + (s.running > 0 ? `, ${usd(s.running)} at work` : '') : '';
    this.money.title = cap > 0 ? 'Spent, of the cap' : 'Spent; there is no cap';
    this.money.classList.toggle('warn', cap > 0 && (s.spent?.usd || 0) >= 0.8 * cap);
    this.walls.textContent = open ? '' : cleanLine(walls);
    const hub = cleanLine(s.hub ?? this.server.hub ?? '').replace(/^https?:\/\//, '').replace(/\/$/, '');
    this.hub.textContent = hub === 'local' ? 'local Hub' : hub;
  }
}

function choose(select, value) {
  if (value && ![...select.options].some((o) => o.value === value)) select.append(h('option', { value }, value));
  if (value) select.querySelector('option[value=""]')?.remove();
  else if (![...select.options].some((o) => o.value === '')) select.prepend(h('option', { value: '' }, 'default'));
  select.value = value;
}

// A Doing line says what happens now.
export class Doing {
  constructor(el) {
    this.el = el;
    setInterval(() => { if (!document.hidden) this.draw(); }, 1000);
  }

  show(state, elsewhere) {
    this.state = state;
    this.elsewhere = elsewhere;
    this.draw();
  }

  draw() {
    const s = this.state || {};
    const phase = s.phase || (this.elsewhere ? 'elsewhere' : 'idle');
    this.el.dataset.phase = phase;
    this.el.hidden = phase === 'idle' || phase === 'asking'; // the question says it
    if (this.el.hidden) return;
    const since = s.since ? Math.max(0, Math.floor((Date.now() - Date.parse(s.since)) / 1000)) : 0;
    const words = phase === 'waiting' ? `Waiting for ${cleanLine((s.waits || []).join('; ') || 'jobs')}. It goes on by itself.`
      : phase === 'elsewhere' ? 'Another program works in this session.' : phase === 'stopping' ? 'Stopping…' : s.retry ? cleanLine(s.retry) : 'Working';
    const text = `${words} ${since > 0 && !s.retry ? span(since).replace('.0 s', ' s') : ''}`.trim();
    if (this.el.textContent !== text) this.el.textContent = text;
  }
}

// drawPlan shows the plan in one line, and all of it when opened.
export function drawPlan(el, plan) {
  const items = plan || [];
  el.hidden = !items.length;
  if (!items.length) return;
  const live = items.filter((i) => i.status !== 'dropped');
  const done = live.filter((i) => i.status === 'done').length;
  const now = items.find((i) => i.status === 'doing');
  const signs = { done: '☑', doing: '▸', dropped: '✗', pending: '☐' };
  put(el, h('summary', null, h('span', { class: 'name' }, `Plan ${done}/${live.length}`), h('progress', { max: String(live.length || 1), value: String(done), 'aria-label': 'Points done' }),
    h('span', { class: 'now' }, now ? cleanLine(now.text) : done === live.length ? 'all done' : '')),
  h('ol', null, items.map((i) => h('li', { class: i.status }, h('span', { class: 'box', role: 'img', 'aria-label': i.status }, signs[i.status] || '☐'), ' ', cleanLine(i.text)))));
}

// editTitle lets a person change the title where it stands. It returns what leaves
// it as it was.
export function editTitle(el, on) {
  let leave = () => {};
  el.addEventListener('click', begin);
  return () => leave();
  function begin() {
    const before = el.textContent;
    const input = h('input', { type: 'text', 'aria-label': 'Title of the session', maxlength: '200', value: before });
    let over = false;
    const end = (keep) => {
      if (over) return;
      over = true;
      input.replaceWith(el);
      const text = input.value.trim();
      if (keep && text && text !== before) {
        el.textContent = text;
        on(text, before);
      }
    };
    input.addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && !e.isComposing) { e.preventDefault(); end(true); el.focus(); } // else the key presses the title, which is there again
      if (e.key === 'Escape') { e.stopPropagation(); end(false); el.focus(); }
    });
    leave = () => end(false);
    input.addEventListener('blur', () => end(true));
    el.replaceWith(input);
    input.select();
  }
}
