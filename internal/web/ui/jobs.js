// The panel of jobs: how they stand, what they cost, and their numbers.

import { h, put, svg, button, link } from './dom.js';
import { api, wordsOf } from './api.js';
import { cleanLine, number, span, usd } from './words.js';

const every = 3000;

export class Jobs {
  // on has command(line) and close().
  constructor(el, on) {
    this.el = el;
    this.on = on;
    this.body = h('div', { class: 'jobs-body' });
    put(el, h('header', null, h('h2', null, 'Jobs'), button('Close', () => on.close(), { class: 'quiet' })), this.body);
    document.addEventListener('visibilitychange', () => { if (this.open && !document.hidden) this.read(); });
  }

  show(id, open) {
    const other = id !== this.id;
    this.id = id;
    this.open = open;
    this.el.hidden = !open;
    clearTimeout(this.timer);
    if (!open) return;
    if (other || !this.body.firstChild) put(this.body, h('p', { class: 'muted' }, id ? 'Looking…' : 'There is no session yet.'));
    this.drawn = '';
    if (id) this.read();
  }

  async read() {
    clearTimeout(this.timer);
    const id = this.id;
    try {
      const { jobs, error } = await api.jobs(id);
      if (id !== this.id || !this.open) return;
      const key = JSON.stringify([jobs, error]);
      if (key !== this.drawn) {
        this.drawn = key;
        put(this.body, error ? h('p', { class: 'failure' }, cleanLine(error)) : null, (jobs || []).length ? jobs.map((j) => this.job(j)) : h('p', { class: 'muted' }, 'There are no jobs, or the session is not open here: it is from its next prompt on.'));
      }
    } catch (err) {
      if (id !== this.id) return;
      put(this.body, h('p', { class: 'failure' }, wordsOf(err)));
      this.drawn = '';
    }
    if (this.open && !document.hidden) this.timer = setTimeout(() => this.read(), every);
  }

  job(j) {
    const over = j.done;
    const mark = j.state === 'succeeded' ? 'done' : over ? 'failed' : j.state === 'queued' ? 'waiting' : 'working';
    const cost = !over && j.worst_usd > 0 ? `${usd(j.cost_usd)} of at most ${usd(j.worst_usd)}` : usd(j.cost_usd);
    return h('section', { class: 'job', 'aria-label': `Job ${j.name || j.id}` },
      h('div', { class: 'head' }, h('span', { class: `dot ${mark}`, 'aria-hidden': 'true' }), h('strong', null, cleanLine(j.name || j.id)), h('span', { class: 'muted' }, cleanLine((j.state || '').replaceAll('_', ' ')))),
      h('div', { class: 'muted' }, [cleanLine(j.id), cleanLine(j.backend), span(j.elapsed_s), over ? '' : cleanLine(j.progress), cost].filter(Boolean).join(' · ')),
      j.url ? link(j.url, cleanLine(j.url)) : null,
      j.reason ? h('div', { class: 'failure' }, cleanLine(j.reason)) : null,
      (j.metrics || []).slice(0, 6).map((m) => h('div', { class: 'metric' }, h('span', null, cleanLine(m.name)), sparkline(m.points || [], m.name), h('b', null, number(m.last)))),
      h('div', { class: 'row' }, button('Log', () => this.on.command(`/jobs logs ${j.id}`), { class: 'quiet' }), over ? null : this.cancel(j)));
  }

  cancel(j) {
    let sure = false;
    const b = button('Cancel', () => {
      if (sure) {
        this.on.command(`/jobs cancel ${j.id}`);
        b.disabled = true;
        return;
      }
      sure = true;
      b.textContent = 'Really cancel?';
      setTimeout(() => { sure = false; b.textContent = 'Cancel'; }, 4000);
    }, { class: 'quiet danger' });
    return b;
  }
}

// sparkline draws numbers as a line; gaps are where there is none.
export function sparkline(points, name) {
  const w = 160;
  const height = 28;
  const all = points.filter((v) => v !== null);
  const el = svg('svg', { viewBox: `0 0 ${w} ${height}`, class: 'spark', role: 'img', preserveAspectRatio: 'none' });
  const title = svg('title', {});
  title.textContent = all.length ? `${name}: from ${number(all[0])} to ${number(all.at(-1))}, least ${number(Math.min(...all))}, most ${number(Math.max(...all))}` : `${name}: no numbers yet`;
  el.append(title);
  if (all.length < 2) return el;
  const low = Math.min(...all);
  const range = Math.max(...all) - low || 1;
  let path = '';
  let pen = 'M';
  points.forEach((v, i) => {
    if (v === null) { pen = 'M'; return; }
    path += `${pen}${((i / (points.length - 1)) * (w - 4) + 2).toFixed(1)} ${(height - 3 - ((v - low) / range) * (height - 6)).toFixed(1)}`;
    pen = 'L';
  });
  el.append(svg('path', { d: path, fill: 'none', 'vector-effect': 'non-scaling-stroke' }));
  return el;
}
