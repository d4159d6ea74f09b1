// The list of sessions. It is read from the server again and again while the page
// is seen, and nothing of it is kept here.

import { h, put, button } from './dom.js';
import { api } from './api.js';
import { cleanLine, when, fully, usd } from './words.js';

const every = 4000;
const phases = { working: 'working', waiting: 'waiting for jobs', asking: 'needs your word', stopping: 'stopping', idle: '' };

// A Sessions list tells on: open(id), seen(sessions).
export class Sessions {
  constructor(list, search, on) {
    this.list = list;
    this.search = search;
    this.on = on;
    this.all = [];
    this.next = '';
    this.pages = 1;
    this.chosen = '';
    let typed;
    search.addEventListener('input', () => { clearTimeout(typed); typed = setTimeout(() => { this.pages = 1; this.read(); }, 200); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.soon(); });
    list.addEventListener('keydown', (e) => this.key(e));
    this.started = false;
  }

  start() {
    this.started = true;
    this.read();
  }

  stop() {
    this.started = false;
    clearTimeout(this.timer);
  }

  // soon reads again in a moment, once for many reasons.
  soon() {
    if (!this.started || this.pending) return;
    this.pending = setTimeout(() => { this.pending = 0; this.read(); }, 250);
  }

  async read() {
    clearTimeout(this.timer);
    const turn = (this.turn = (this.turn || 0) + 1);
    try {
      const q = this.search.value.trim();
      let all = [];
      let next = '';
      for (let page = 0; page < this.pages; page++) {
        const got = await api.sessions(q, next, 50);
        all = all.concat(got.sessions || []);
        next = got.next || '';
        if (!next) break;
      }
      if (turn !== this.turn) return;
      this.all = all;
      this.next = next;
      this.draw(q);
      if (!q) this.on.seen(all);
    } catch {
      // what is shown stays; the session's own connection says that the server is gone
    }
    if (this.started && turn === this.turn) this.timer = setTimeout(() => this.read(), document.hidden ? every * 4 : every);
  }

  choose(id) {
    this.chosen = id;
    for (const a of this.list.querySelectorAll('a')) a.setAttribute('aria-current', a.dataset.id === id ? 'page' : 'false');
  }

  draw(q) {
    const key = JSON.stringify([this.all, this.next, q, this.chosen, new Date().toDateString()]);
    if (key === this.key_) return;
    this.key_ = key;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.id : '';
    put(this.list, this.all.map((s) => this.line(s)), this.next ? h('li', null, button('More', () => { this.pages++; this.read(); }, { class: 'quiet' })) : null,
      this.all.length ? null : h('li', { class: 'muted none' }, q ? 'No session has these words.' : 'No sessions yet.'));
    if (focused) this.list.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  line(s) {
    const phase = s.live?.phase || 'idle';
    const bad = phase === 'idle' && /^failed/.test(s.state || '');
    const open = phase === 'idle' && s.state === 'unfinished';
    const word = phases[phase] || (bad ? 'failed' : open ? 'unfinished' : '');
    return h('li', null, h('a', { href: `#/s/${encodeURIComponent(s.id)}`, 'data-id': s.id, 'aria-current': s.id === this.chosen ? 'page' : 'false', title: `${cleanLine(s.title || s.id)}\n${s.dir}\n${fully(s.updated)}` },
      h('span', { class: `dot ${bad ? 'failed' : open ? 'open' : phase}`, role: 'img', 'aria-label': word || 'idle' }),
      h('span', { class: 'title' }, cleanLine(s.title || s.id)),
      h('span', { class: 'under' }, h('span', null, word || (s.spent_usd > 0 ? usd(s.spent_usd) : '')), h('time', { datetime: s.updated }, when(s.updated)))));
  }

  key(e) {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
    const links = [...this.list.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    const to = links[at + (e.key === 'ArrowDown' ? 1 : -1)];
    if (to) {
      e.preventDefault();
      to.focus();
    }
  }
}
