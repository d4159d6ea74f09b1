// Turns what happened in a session into the items of a transcript, and nothing
// else: what the page shows is a function of the events, as it is in the
// terminal. It knows no elements.

import { cleanLine, cut, plural, usd } from './words.js';

const kept = 400; // live lines of a call
const note = '[ml-intern] '; // begins what the program says to the model

// A Record has items. Each has a kind: prompt, thought, reply, call, word,
// failure, run (a command of the person's own) and answer (of a chat's command).
export class Record {
  constructor(on) {
    this.on = on; // {changed(item), gone(items), plan(plan)}
    this.items = [];
    this.calls = new Map(); // of the latest reply, by id
    this.runs = new Map();
    this.reply = null; // that grows
    this.thought = null; // that grows
    this.first = -1; // of the items of the reply that grows
    this.plan = null;
    this.unanswered = false;
    this.said = []; // what the person said, for the arrow up
    this.opened = null;
    this.spends = false;
  }

  add(item) {
    item.v = 1;
    this.items.push(item);
    this.on.changed(item);
    return item;
  }

  touch(item) {
    item.v++;
    this.on.changed(item);
  }

  event(ev) {
    const at = Date.parse(ev.time) || Date.now();
    if (ev.chunk) this.chunk(ev.chunk, at);
    else if (ev.reply) this.whole(ev.reply, at);
    else if (ev.prompt) this.prompt(ev, at);
    else if (ev.failed) this.failed(ev.failed);
    else if (ev.opened) this.opened = ev.opened;
    else if (!this.callEvent(ev, at)) this.wordEvent(ev);
  }

  prompt(ev, at) {
    this.settle(at);
    const p = ev.prompt;
    const answered = !this.unanswered;
    this.unanswered = true;
    this.said.push(p.text);
    const pictures = (p.pictures || []).map((i) => cleanLine(`${i.name || 'a picture'}${i.width ? `, ${i.width}×${i.height}` : ''}`));
    this.add({ kind: 'prompt', text: p.text, steer: !!p.steer, pictures, at: ev.time, seq: ev.seq, first: answered && !p.steer });
  }

  // failed says why a turn has no answer. What had come of one stays to be read.
  failed(f) {
    this.settle(Date.now());
    this.over();
    if (f.reason === 'interrupted') this.add({ kind: 'word', text: 'stopped', goOn: true });
    else this.add({ kind: 'failure', reason: f.reason, text: (f.text || f.reason || '').trim(), goOn: true });
  }

  // over notes that nothing runs any more.
  over() {
    for (const item of this.calls.values()) {
      if (item.state !== 'done' && item.state !== 'failed' && item.state !== 'denied' && item.state !== 'waiting') {
        item.cut = item.state === 'running';
        item.over = true;
        this.touch(item);
      }
    }
  }

  callEvent(ev, at) {
    if (ev.asked) for (const id of ev.asked.call_ids || []) this.of(id, (c) => { c.state = 'asked'; c.why = cleanLine(ev.asked.reason); });
    else if (ev.decided) {
      const d = ev.decided;
      this.of(d.call_id, (c) => {
        c.state = d.verdict === 'deny' ? 'denied' : 'pending';
        if (d.verdict === 'deny') c.why = cleanLine(d.reason);
        if (d.args) { c.args = d.args; c.edited = true; }
      });
    } else if (ev.started) this.of(ev.started.call_id, (c) => { c.state = 'running'; c.over = c.cut = false; c.began = c.began || at; });
    else if (ev.log) this.of(ev.log.call_id, (c) => logLines(c, ev.log.line));
    else if (ev.waiting) this.of(ev.waiting.call_id, (c) => { c.state = 'waiting'; c.waits = waitingFor(ev.waiting); this.spends = true; });
    else if (ev.result) {
      this.of(ev.result.call_id, (c) => settleCall(c, ev.result));
      if (ev.result.plan) this.setPlan(ev.result.plan);
      if (ev.result.charges) this.spends = true;
    } else return false;
    return true;
  }

  of(id, change) {
    const item = this.calls.get(id);
    if (!item) return;
    change(item);
    this.touch(item);
  }

  setPlan(plan) {
    this.plan = plan;
    this.on.plan(plan);
  }

  wordEvent(ev) {
    const word = (text, more) => this.add({ kind: 'word', text: (text || '').trim(), ...more });
    if (ev.note) word(ev.note.text.startsWith(note) ? ev.note.text.slice(note.length) : ev.note.text, { label: 'told the model', fold: true });
    else if (ev.notice) word(ev.notice.text);
    else if (ev.switched) word(`${ev.switched.to} takes over from ${ev.switched.from}: ${ev.switched.reason}`);
    else if (ev.compact) word('the conversation was summarized to fit the model’s window', { line: true, more: ev.compact.summary });
    else if (ev.cleared) word(clearedWords(ev.cleared));
    else if (ev.chose) this.chose(ev.chose);
    else if (ev.renamed) return;
    else if (ev.charged) {
      this.spends = true;
      for (const c of ev.charged.charges || []) word(c.final ? `job ${c.job} is over: it cost ${usd(c.usd)}` : `job ${c.job} may cost ${usd(c.usd)}`);
    }
  }

  chose(c) {
    const words = [['model', c.model], ['effort', c.effort], ['approval', c.mode]].filter((w) => w[1]).map((w) => w.join(' '));
    this.add({ kind: 'word', text: `from here on: ${words.join(', ')}` });
  }

  chunk(c, at) {
    if (c.restart) {
      this.drop();
      this.add({ kind: 'word', text: 'the model did not answer in full; asking again' });
    } else if (c.notice) this.add({ kind: 'word', text: cleanLine(c.notice) });
    else if (c.reasoning) {
      if (!this.thought) {
        this.begin();
        this.thought = this.add({ kind: 'thought', text: '', live: true, began: at });
      }
      this.thought.text += c.reasoning;
      this.touch(this.thought);
    } else if (c.text) {
      this.thoughtOver(at);
      if (!this.reply) {
        if (!c.text.trim()) return;
        this.begin();
        this.reply = this.add({ kind: 'reply', text: '', live: true });
      }
      this.reply.text += c.text;
      this.touch(this.reply);
    } else if (c.call) {
      this.thoughtOver(at);
      this.begin();
      if (c.call.name !== 'plan') this.add(newCall(c.call));
    }
  }

  thoughtOver(at) {
    if (!this.thought) return;
    this.thought.live = false;
    this.thought.seconds = (at - this.thought.began) / 1000;
    this.touch(this.thought);
    this.thought = null;
  }

  // begin remembers where the reply that grows begins.
  begin() {
    if (this.first < 0) this.first = this.items.length;
  }

  // drop takes away what had come of a reply that is void.
  drop() {
    if (this.first >= 0) {
      const live = this.items.splice(this.first);
      this.items.push(...live.filter((i) => !ofReply(i)));
      this.on.gone(live.filter(ofReply));
    }
    this.first = -1;
    this.reply = this.thought = null;
  }

  // settle keeps what had come of a reply, which nothing will end.
  settle(at) {
    this.thoughtOver(at);
    if (this.reply) {
      this.reply.live = false;
      this.touch(this.reply);
    }
    this.first = -1;
    this.reply = null;
  }

  // whole puts the reply that was saved in place of what had come of it. What was
  // drawn of it stays drawn.
  whole(reply, at) {
    const live = this.first >= 0 ? this.items.splice(this.first) : [];
    const words = live.filter((i) => !ofReply(i));
    this.first = -1;
    this.reply = this.thought = null;
    this.over();
    this.calls.clear();
    const place = (kind, fill) => {
      const n = live.findIndex((i) => i.kind === kind);
      const item = n < 0 ? { kind, v: 0 } : live.splice(n, 1)[0];
      fill(item);
      item.live = false;
      this.items.push(item);
      this.touch(item);
      return item;
    };
    this.items.push(...words);
    for (const p of reply.message?.parts || []) {
      if (p.call && p.call.name !== 'plan') this.calls.set(p.call.id, place('call', (i) => Object.assign(i, newCall(p.call), { v: i.v })));
      else if (p.reasoning?.trim()) place('thought', (i) => { i.text = p.reasoning; });
      else if (p.text?.trim()) place('reply', (i) => { i.text = p.text; });
    }
    this.on.gone(live.filter(ofReply));
    if (reply.end?.dropped?.length) this.add({ kind: 'word', text: 'the model’s output limit cut the reply off' });
    if (!(reply.message?.parts || []).some((p) => p.call) && reply.end?.reason !== 'length') this.unanswered = false;
  }

  // ran adds what a command of the person's own brought.
  ran(r) {
    let item = this.runs.get(r.id);
    if (!item) {
      item = this.add({ kind: 'run', text: r.command, logs: [], lines: 0, live: true, began: Date.now() });
      this.runs.set(r.id, item);
    }
    if (r.out) logLines(item, r.line);
    if (r.done) {
      item.live = false;
      item.err = r.stopped ? 'stopped' : r.error || (r.code ? `exit status ${r.code}` : '');
      this.runs.delete(r.id);
    }
    this.touch(item);
  }

  // notice adds a word of the program. What it repeats of the failure before it
  // is left out.
  notice(text) {
    text = (text || '').trim();
    const last = this.items[this.items.length - 1];
    if (last?.kind === 'word' && last.text === 'stopped' && text.includes('interrupted')) return;
    if (last?.kind === 'failure' && text.startsWith(last.text)) text = text.slice(last.text.length).trim();
    if (text) this.add({ kind: 'word', text, fold: text.split('\n').length > 8 });
  }
}

// ofReply tells what a reply brought from what was said beside it.
const ofReply = (item) => item.kind === 'reply' || item.kind === 'thought' || item.kind === 'call';

function newCall(call) {
  return { kind: 'call', id: call.id, name: call.name, args: call.args || '', state: 'pending', logs: [], lines: 0, result: '' };
}

// logLines keeps the last lines of what a call says.
function logLines(item, text) {
  for (const line of text.replace(/\n+$/, '').split('\n')) {
    if (/^… \d+ s$/.test(line)) continue; // how long it runs is shown already
    item.lines++;
    item.logs.push(cut(line, 2000));
  }
  if (item.logs.length > kept) item.logs = item.logs.slice(-kept / 2);
}

function settleCall(c, r) {
  if (c.state !== 'denied') c.state = r.is_error ? 'failed' : 'done';
  c.over = false;
  c.summary = cut(cleanLine(r.summary), 400);
  c.result = r.text || '';
  c.full = r.full || '';
  c.seconds = r.seconds || 0;
  c.logs = [];
  c.artifacts = r.artifacts || [];
  c.child = r.spent?.session || '';
  c.cost = r.cost_usd || 0;
}

function waitingFor(w) {
  const jobs = w.jobs || [];
  let text = `waits for ${jobs.length === 1 ? 'job' : 'jobs'} ${cleanLine(jobs.join(', '))}`;
  if (w.until) text += ` until ${new Date(w.until).toLocaleTimeString()}`;
  return text;
}

function clearedWords(c) {
  const n = (c.results || []).length;
  if (!n) return 'old pictures were left out to fit the model’s window';
  return `${plural(n, 'old result')} ${n === 1 ? 'was' : 'were'} shortened${c.pictures ? ', and old pictures left out,' : ''} to fit the model’s window`;
}

// headline shows the arguments of a call in one line: the values that tell most.
export function headline(args) {
  let a;
  try {
    a = JSON.parse(args);
  } catch {
    return cleanLine(cut(args, 400));
  }
  if (!a || typeof a !== 'object') return cleanLine(cut(args, 400));
  const text = (v, n) => cut(typeof v === 'string' ? v : Array.isArray(v) && v.every((e) => typeof e === 'string') ? v.join(', ') : JSON.stringify(v), n);
  const several = typeof a.operation === 'string';
  let words = several ? [a.operation] : [];
  for (const key of ['command', 'repo_id', 'arxiv_id', 'path', 'name', 'repo', 'job', 'jobs', 'dataset', 'page', 'section', 'query', 'url', 'task']) {
    if (key in a && (several || !words.length)) words.push(text(a[key], 400));
  }
  if (!words.length) words = Object.keys(a).sort().slice(0, 3).map((key) => `${key}=${text(a[key], 60)}`);
  return cleanLine(words.join(' '));
}
