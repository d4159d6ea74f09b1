// The panel of questions: what a call would do, in full, and a person's word on
// it. Nothing is decided by keys that were on their way to the prompt.

import { h, put, button } from './dom.js';
import { clean, cleanLine, turns, usd } from './words.js';
import { args, script } from './items.js';
import { change, fields, isDiff, language, plainLines } from './code.js';
import { headline } from './record.js';
import { api, wordsOf } from './api.js';

const calm = 300; // ms without a key before keys decide
let lastKey = 0;
let keyBefore = 0;
addEventListener('keydown', () => { keyBefore = lastKey; lastKey = performance.now(); }, true);

// A Questions panel shows one question at a time: the calls of one step.
export class Questions {
  // on has answered(), back() and say(text).
  constructor(el, on) {
    this.el = el;
    this.on = on;
    this.ask = null;
    el.addEventListener('keydown', (e) => this.key(e));
  }

  // show puts the question of the session there; null takes it away.
  show(session, ask) {
    const key = ask ? session + JSON.stringify(ask) : ''; // a server that was started anew counts anew
    if (ask && key === this.key_) return; // it is there, maybe half answered
    this.key_ = key;
    this.session = session;
    this.ask = ask;
    this.el.hidden = !ask;
    if (!ask) {
      const had = this.el.contains(document.activeElement);
      put(this.el);
      if (had) this.on.back();
      return;
    }
    this.all = (ask.requests || []).map((r) => ({ r, args: '', verdict: '', for: '', reason: '', editing: false, why: false }));
    this.shown = performance.now();
    this.draw();
    this.el.scrollTop = 0;
  }

  get several() { return this.all.length > 1; }

  draw() {
    const open = this.all.filter((a) => !a.verdict).length;
    this.note = h('div', { class: 'note', role: 'alert' });
    for (const a of this.all) {
      a.el = h('section', { class: 'request', tabindex: '-1', 'aria-label': `Question about ${a.r.tool}` });
      this.drawOne(a);
    }
    put(this.el,
      h('header', null, h('h2', null, this.several ? `${this.all.length} calls need your word` : 'This needs your word'),
        this.several ? h('div', { class: 'row' },
          button('Yes to all', () => this.rest('allow'), { class: 'yes' }), button('No to all', () => this.rest('deny'), { class: 'no' }),
          this.count = h('span', { class: 'muted' }, `${open} to decide`)) : null),
      this.all.map((a) => a.el), this.note);
  }

  drawOne(a) {
    const r = a.r;
    const running = a.args || argsText(r);
    put(a.el,
      h('div', { class: 'asked' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '?'), h('strong', null, clean(r.tool)), ' ', h('span', { class: 'args' }, r.show ? '' : headline(running)),
        a.args ? h('span', { class: 'edited' }, 'changed by you') : null,
        r.cost_usd > 0 ? h('span', { class: 'cost' }, `may cost ${usd(r.cost_usd)}`) : null),
      facts(r),
      a.editing ? this.editor(a) : h('div', { class: 'script', tabindex: '0', role: 'group', 'aria-label': 'What would run' }, details(r, running)),
      warning(running),
      a.verdict ? this.decided(a) : a.why ? this.because(a) : a.editing ? null : this.buttons(a));
  }

  buttons(a) {
    const rule = a.r.remember;
    return h('div', { class: 'choices' },
      h('div', { class: 'row' },
        button('Yes', () => this.decide(a, 'allow'), { class: 'yes', 'data-key': 'y' }),
        button('No', () => this.decide(a, 'deny'), { class: 'no', 'data-key': 'n' }),
        button('No, because…', () => { a.why = true; this.drawOne(a); a.el.querySelector('input')?.focus(); }, { 'data-key': 'r' }),
        button('Edit', () => this.edit(a, false), { 'data-key': 'e' }), button('Edit all arguments', () => this.edit(a, true), { class: 'quiet', 'data-key': 'E' })),
      rule ? h('div', { class: 'rule' }, h('div', { class: 'row' },
        button('Yes, for this session', () => this.decide(a, 'allow', 'session'), { 'data-key': 's' }), button('Yes, always', () => this.decide(a, 'allow', 'always'), { 'data-key': 'a' })),
      h('div', { class: 'muted' }, 'by the rule ', h('code', null, cleanLine(rule)))) : null);
  }

  because(a) {
    const input = h('input', { type: 'text', 'aria-label': 'Why not: the model is told', placeholder: 'Why not? The model is told.', value: a.reason || null });
    const form = h('form', { class: 'row because', onsubmit: (e) => { e.preventDefault(); this.decide(a, 'deny', '', input.value.trim()); } },
      input, h('button', { type: 'submit', class: 'no' }, 'No'), button('Back', () => { a.why = false; this.drawOne(a); a.el.focus(); }));
    return form;
  }

  decided(a) {
    const words = a.verdict === 'deny' ? `No${a.reason ? `: ${a.reason}` : ''}` : a.for === 'session' ? 'Yes, for this session' : a.for === 'always' ? 'Yes, always' : 'Yes';
    return h('div', { class: 'row decided' }, h('strong', null, clean(words)), button('Change', () => { a.verdict = ''; this.drawOne(a); this.counted(); a.el.focus(); }, { class: 'quiet' }));
  }

  // editor changes what a call runs: the longest text in its arguments as it is,
  // or all of them.
  editor(a) {
    const e = a.editing;
    const area = h('textarea', { class: 'edit', spellcheck: 'false', autocapitalize: 'off', 'aria-label': e.field ? `Edit ${e.field} of ${a.r.tool}` : `Edit the arguments of ${a.r.tool}`, rows: String(Math.min(Math.max(e.text.split('\n').length + 1, 4), 24)) });
    area.value = e.area ? e.area.value : e.text;
    e.area = area;
    area.addEventListener('keydown', (k) => { if (k.key === 'Enter' && (k.ctrlKey || k.metaKey)) { k.preventDefault(); k.stopPropagation(); this.take(a); } });
    return h('div', { class: 'editor' }, area, h('div', { class: 'row' },
      button('Take it', () => this.take(a), { class: 'yes', title: 'Ctrl+Enter' }), button('Leave it as it was', () => { a.editing = null; this.drawOne(a); a.el.focus(); }),
      h('span', { class: 'muted' }, 'It is judged again. Nothing runs before your yes.')));
  }

  edit(a, whole) {
    a.editing = editable(a.args || argsText(a.r), whole);
    this.drawOne(a);
    a.editing.area.focus();
    a.editing.area.setSelectionRange(0, 0);
    a.editing.area.scrollTop = a.editing.area.scrollLeft = 0;
  }

  // take has the change judged, and shows the call as it would run.
  async take(a) {
    const text = a.editing.area.value;
    let changed;
    try {
      changed = a.editing.put(text);
    } catch (err) {
      this.say(err.message);
      return;
    }
    const ask = this.ask;
    try {
      const judged = await api.preview(this.session, { ask: ask.id, call_id: a.r.call_id, args: changed });
      if (this.ask !== ask) return;
      a.r = { ...a.r, ...(judged.request || judged) };
      a.args = changed;
      a.editing = null;
      this.say('');
      this.drawOne(a);
      a.el.focus();
    } catch (err) {
      this.say(wordsOf(err));
    }
  }

  say(text) { this.note.textContent = clean(text); }

  decide(a, verdict, holds = '', reason = '') {
    Object.assign(a, { verdict, for: holds, reason, why: false, editing: null });
    this.drawOne(a);
    this.counted();
    if (this.all.every((b) => b.verdict)) this.send();
    else this.all.find((b) => !b.verdict).el.focus();
  }

  counted() {
    if (this.count) this.count.textContent = `${this.all.filter((b) => !b.verdict).length} to decide`;
  }

  rest(verdict) {
    if (verdict === 'allow' && this.all.some((a) => a.editing)) { // else the call would run as it was
      this.say('First take what you edit, or leave it as it was.');
      return;
    }
    for (const a of this.all) if (!a.verdict) Object.assign(a, { verdict, for: '', reason: '', why: false, editing: null });
    this.all.forEach((a) => this.drawOne(a));
    this.counted();
    this.send();
  }

  async send() {
    const ask = this.ask;
    const decisions = this.all.map((a) => ({
      call_id: a.r.call_id, verdict: a.verdict, ...(a.reason && { reason: a.reason }), ...(a.for && { for: a.for }), ...(a.verdict === 'allow' && a.args && { args: a.args }),
    }));
    try {
      await api.answer(this.session, { ask: ask.id, decisions });
      if (this.ask === ask) this.show(this.session, null);
      this.on.answered();
    } catch (err) {
      if (err.status === 409 && this.ask === ask) {
        this.show(this.session, null);
        this.on.say('It was answered elsewhere.');
        return;
      }
      for (const a of this.all) { a.verdict = ''; this.drawOne(a); }
      this.counted();
      this.say(wordsOf(err));
    }
  }

  // key decides by one letter, once no key was on its way to something else.
  key(e) {
    if (!this.ask || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const typing = /^(INPUT|TEXTAREA)$/.test(e.target.tagName);
    if (e.key === 'Escape') {
      e.stopPropagation();
      const a = this.all.find((b) => b.editing || b.why);
      if (typing && a) {
        a.editing = null;
        a.why = false;
        this.drawOne(a);
        a.el.focus();
      } else this.on.back();
      return;
    }
    if (typing) return;
    if (!/^[ynrsaeE]$/.test(e.key) || e.repeat || performance.now() - Math.max(this.shown, keyBefore) < calm) return;
    const a = this.all.find((b) => b.el.contains(e.target) && !b.verdict) || this.all.find((b) => !b.verdict);
    a?.el.querySelector(`[data-key="${e.key}"]`)?.click();
    e.preventDefault();
  }

  // focus takes the keyboard, unless somebody is writing.
  focus(writing) {
    if (!this.ask || writing || performance.now() - lastKey < calm) return;
    (this.all.find((a) => !a.verdict) || this.all[0])?.el.focus({ preventScroll: true });
  }

  enter() { if (this.ask) (this.all?.find((a) => !a.verdict) || this.all?.[0])?.el.focus(); }
}

const argsText = (r) => (typeof r.args === 'string' ? r.args : JSON.stringify(r.args ?? {}));

function warning(text) {
  return turns(text) ? h('div', { class: 'beware' }, 'Beware: it has signs that are not seen or turn letters around. They are shown as ‹U+…›.') : null;
}

function facts(r) {
  const rows = [];
  const add = (name, words, like) => { if (words) rows.push(h('dt', null, name), h('dd', like ? { class: like } : null, cleanLine(words))); };
  add('why', r.reason);
  add('reaches', (r.reaches || []).join(', '));
  add('is given', (r.secrets || []).join(', '), 'beware');
  add('about', r.object);
  if (r.deletes) add('beware', 'it deletes what nobody can bring back', 'beware');
  else if (r.public) add('beware', 'everyone will see it', 'beware');
  else if (r.recurring) add('beware', 'it goes on by itself', 'beware');
  return rows.length ? h('dl', { class: 'facts' }, rows) : null;
}

// details is the script, the change or the arguments in full.
function details(r, running) {
  if (!r.show) return args(running);
  if (isDiff(r.show)) return change(r.show.split('\n'), 400);
  const name = r.show.slice(0, r.show.indexOf('\n') >>> 0).replace(/:$/, '').replace(/^new file /, '');
  return r.show.split('\n').length > 400 ? plainLines(r.show, 400) : script(r.show, r.tool === 'bash' ? 'sh' : language(name), 400);
}

// editable is the text of the arguments that a person changes, and how it is put
// back.
function editable(text, whole) {
  const all = fields(text);
  if (!whole && all) {
    for (const field of ['command', 'content', 'new', 'script', 'source']) {
      if (typeof all[field] === 'string') return { field, text: all[field], put: (v) => JSON.stringify({ ...all, [field]: v }) };
    }
  }
  return {
    field: '', text: all ? JSON.stringify(all, null, 2) : text,
    put: (v) => {
      try {
        JSON.parse(v);
      } catch {
        throw new Error('That is not JSON; nothing was changed.');
      }
      return v;
    },
  };
}
