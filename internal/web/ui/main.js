// The page of `ml-intern serve`: puts its parts together. The address names the
// session that is shown: #/s/ID, or #/new.

import { byId, h, put, button } from './dom.js';
import { api, onSignedOut, wordsOf } from './api.js';
import { Session } from './session.js';
import { Sessions } from './sessions.js';
import { Questions } from './ask.js';
import { Composer, isCommand } from './composer.js';
import { Bar, Doing, drawPlan, editTitle } from './bar.js';
import { Jobs } from './jobs.js';
import { subAgent } from './agent.js';
import { pick, sure, help } from './dialogs.js';
import { announce, canNotify, notifications, notify, recall, remember, titled, wasNotified } from './tell.js';
import { headline } from './record.js';
import { cleanLine, cut } from './words.js';

class Page {
  constructor() {
    this.session = null;
    this.server = null;
    this.fresh = {}; // what was chosen for a session that has not begun
    this.phases = new Map();
    this.list = new Sessions(byId('sessions'), byId('search'), { seen: (all) => this.seen(all) });
    this.bar = new Bar(byId('bar'), { set: (what) => this.set(what) });
    this.doing = new Doing(byId('doing'));
    this.questions = new Questions(byId('questions'), {
      answered: () => { this.composer.focus(); this.list.soon(); }, back: () => this.composer.focus(), say: (text) => this.say(text),
    });
    this.composer = new Composer(byId('composer'), {
      send: (text, now) => this.send(text, now), stop: () => this.stop(), takeBack: () => this.takeBack(), sendHeld: () => this.sendHeld(), help: () => help(this.composer.commands), note: (text) => this.say(text),
    });
    this.composer.said = () => this.session?.record.said || [];
    this.jobs = new Jobs(byId('jobs'), { command: (line) => { if (this.narrow) this.showJobs(false); this.send(line, false); }, close: () => this.showJobs(false) });
    this.title = byId('title'); // it is not in the page while it is edited
    this.titleLeft = editTitle(this.title, (title, before) => this.retitle(title, before));
    this.listen();
  }

  listen() {
    byId('new').addEventListener('click', () => { this.sidebar(false, true); this.go('#/new'); });
    byId('menu').addEventListener('click', () => this.menu());
    byId('jobs-button').addEventListener('click', () => this.showJobs(!this.jobs.open));
    byId('sessions-button').addEventListener('click', () => this.sidebar());
    byId('sessions').addEventListener('click', () => this.sidebar(false, true));
    byId('shade').addEventListener('click', () => this.sidebar(false));
    byId('theme').addEventListener('click', () => this.theme());
    byId('out').addEventListener('click', () => this.act(() => api.logout()).then(() => this.signedOut()));
    byId('folder').addEventListener('input', (e) => { this.fresh.dir = e.target.value.trim(); });
    addEventListener('hashchange', () => this.route());
    addEventListener('keydown', (e) => this.key(e));
    onSignedOut(() => this.signedOut());
  }

  async start() {
    document.documentElement.dataset.theme = recall('theme');
    byId('app').classList.toggle('no-sessions', recall('sessions') === 'closed');
    wasNotified();
    const key = /^#key=(.+)$/.exec(location.hash)?.[1];
    if (key) {
      history.replaceState(null, '', location.pathname); // first of all: it is in no history and on no screen
      await this.login(decodeURIComponent(key));
      return;
    }
    this.open();
  }

  async login(key) {
    try {
      await api.login(key);
    } catch (err) {
      this.signedOut(err.status === 401 ? 'That is not the key of this server: it prints its address when it starts.' : wordsOf(err));
      return;
    }
    this.open();
  }

  async open() {
    try {
      this.server = await api.server();
    } catch (err) {
      if (err.status !== 401) {
        this.banner(wordsOf(err));
        setTimeout(() => this.open(), 2000);
      }
      return;
    }
    this.banner('');
    byId('login').hidden = true;
    byId('app').hidden = false;
    this.bar.serverIs(this.server);
    const here = [
      { name: '/new', help: 'begin a new session' }, { name: '/sessions', help: 'find a session' }, { name: '/fork', help: 'go on in a copy of this session' }, { name: '/agents', help: 'look at sub-agents' }, { name: '/export', args: '[md|html|jsonl]', help: 'save this session as a file' }, { name: '/theme', help: 'light, dark, or as the system says' }, { name: '/help', help: 'keys and commands' },
    ];
    this.composer.commands = [...(this.server.commands || []).filter((c) => !here.some((o) => o.name === c.name) && !elsewhere.has(c.name)), ...here].sort((a, b) => (a.name < b.name ? -1 : 1));
    byId('version').firstChild.textContent = `ml-intern ${this.server.version || ''}`;
    byId('folder').placeholder = this.server.dir || '';
    for (const note of this.server.notes || []) this.say(note);
    this.list.start();
    this.route();
    this.composer.focus();
  }

  signedOut(words) {
    this.session?.close();
    this.session = null;
    this.list.stop();
    byId('app').hidden = true;
    byId('login').hidden = false;
    put(byId('login-note'), typeof words === 'string' ? cleanLine(words) : '');
    const form = byId('login-form');
    form.onsubmit = (e) => {
      e.preventDefault();
      const given = byId('key').value.trim();
      byId('key').value = '';
      this.login(decodeURIComponent(/#key=(.+)$/.exec(given)?.[1] || given));
    };
    byId('key').focus();
  }

  go(hash) {
    if (location.hash === hash) this.route();
    else location.hash = hash;
  }

  route() {
    if (!this.server) return;
    const key = /^#key=(.+)$/.exec(location.hash)?.[1];
    if (key) {
      history.replaceState(null, '', location.pathname);
      this.login(decodeURIComponent(key));
      return;
    }
    const m = /^#\/s\/(.+)$/.exec(location.hash);
    this.show(m ? decodeURIComponent(m[1]) : '');
  }

  // show shows the session of that id; of "" a new one.
  show(id) {
    if (this.session?.id === id && id) return;
    this.session?.close();
    this.session = null;
    this.list.choose(id);
    this.composer.open(id);
    this.banner('');
    this.questions.show(id, null);
    this.asked = undefined;
    drawPlan(byId('plan'), null);
    this.doing.show(null);
    byId('begin').hidden = !!id;
    byId('transcript').hidden = !id;
    this.titleLeft();
    this.title.hidden = byId('menu').hidden = !id;
    this.title.textContent = '';
    put(byId('transcript'));
    byId('interrupted').hidden = true;
    this.composer.show(null);
    this.jobs.show(id, this.jobs.open);
    titled(id ? '' : 'New session');
    if (!id) {
      this.bar.show({ model: this.fresh.model, effort: this.fresh.effort, mode: this.fresh.mode || this.server.mode, confinement: this.server.confinement });
      this.composer.focus();
      return;
    }
    this.bar.show({});
    const known = this.list.all.find((s) => s.id === id);
    if (known) this.summary(known);
    this.session = new Session(id, byId('transcript'), {
      state: (s) => this.state(s), ask: (a) => this.ask(a), plan: (p) => drawPlan(byId('plan'), p), summary: (s) => this.summary(s),
      link: (up, words) => this.banner(words), refused: (status) => this.refused(status), ready: (s) => this.ready(s),
      renamed: (title) => this.titleIs(title), ended: (e) => this.ended(e),
      goOn: () => this.goOn(), again: (item) => this.again(item), agent: (item) => subAgent(id, item),
    });
  }

  refused(status) {
    if (status === 401) this.signedOut();
    else this.banner(status === 404 ? 'There is no such session; it may have been deleted.' : `The server refuses this session (${status}).`);
  }

  titleIs(title) {
    this.title.textContent = cleanLine(title || this.session?.id || '');
    titled(title || '');
  }

  summary(s) {
    if (this.session && s.id !== this.session.id) return;
    this.titleIs(s.title);
    this.title.title = `${s.dir}\nChange the title`;
    if (!this.session?.state) this.bar.show({ model: s.model, spent: { usd: s.spent_usd || 0 } });
  }

  state(s) {
    const was = this.phase;
    this.phase = s?.phase;
    if (s) this.bar.show(s); // else it is not open here, and how it stood last is not wrong
    this.doing.show(s, this.session?.elsewhere);
    this.composer.show(s);
    if (s?.title) this.titleIs(s.title);
    this.interrupted();
    if (was !== s?.phase) this.list.soon();
  }

  ready(session) {
    this.interrupted();
    byId('transcript').setAttribute('aria-busy', 'false');
    this.composer.show(session.state);
  }

  // interrupted offers to go on with a prompt that has no answer and nothing at
  // work on it.
  interrupted() {
    const s = this.session;
    const idle = s && s.caughtUp && (!s.state || s.state.phase === 'idle');
    const offered = s?.record.items.findLast((i) => i.goOn || i.kind === 'prompt')?.goOn;
    byId('interrupted').hidden = !(idle && !s.elsewhere && s.record.unanswered && s.record.items.length > 0) || !!offered;
    put(byId('interrupted'), h('span', null, 'The last prompt has no answer yet.'), button('Go on', () => this.goOn(), { class: 'go-on' }));
  }

  ask(a) {
    const new_ = a && a.id !== this.asked;
    this.asked = a?.id;
    this.questions.show(this.session.id, a);
    if (!new_) return;
    const names = (a.requests || []).map((r) => r.tool).join(', ');
    announce(`It needs your word: ${names}`);
    const at = document.activeElement;
    this.questions.focus(!!this.composer.text || (at !== document.body && at !== this.composer.area));
    this.list.soon();
  }

  ended(e) {
    this.interrupted();
    this.list.soon();
    const answer = this.session.record.items.findLast((i) => i.kind === 'reply');
    announce(e.waits ? 'It waits for jobs and goes on by itself.' : e.error ? `The turn failed: ${e.text || e.error}` : `The answer: ${cut(answer?.text || '', 300)}`);
  }

  // seen tells of sessions that changed since they were looked at last.
  seen(all) {
    let asking = 0;
    let working = false;
    for (const s of all) {
      const phase = s.live?.phase || 'idle';
      if (phase === 'asking') asking++;
      if (phase === 'working') working = true;
      const was = this.phases.get(s.id);
      this.phases.set(s.id, phase);
      const shown = s.id === this.session?.id;
      if (was === undefined || was === phase) continue;
      if (phase === 'asking') notify(s.id, 'ml-intern needs your word', s.title || s.id, shown);
      else if (phase === 'idle' && was !== 'stopping') notify(s.id, /^failed/.test(s.state) ? 'ml-intern has failed' : 'ml-intern has answered', s.title || s.id, shown);
    }
    titled(undefined, asking, working);
    if (this.session && !this.session.state) {
      const s = all.find((x) => x.id === this.session.id);
      if (s) this.summary(s);
    }
  }

  // send says a prompt or does a command; false gives the text back.
  async send(text, now) {
    const line = text.trim();
    if (isCommand(line) && this.own(line)) return true;
    try {
      if (!this.session) {
        const { id } = await api.begin({ prompt: text, ...clean(this.fresh) });
        this.fresh = {};
        byId('folder').value = '';
        this.go(`#/s/${encodeURIComponent(id)}`);
        this.list.soon();
        return true;
      }
      const session = this.session;
      const got = await api.say(session.id, text, now);
      session.view.toEnd(true);
      this.result(session, line, got);
      return true;
    } catch (err) {
      if (isCommand(line) && this.session) {
        this.session.record.add({ kind: 'answer', command: line, text: wordsOf(err), bad: true });
        this.session.view.toEnd(true);
        return true;
      }
      this.say(wordsOf(err));
      return false;
    }
  }

  // result shows what a command brought.
  result(session, line, got) {
    if (got.text) session.record.add({ kind: 'answer', command: line, text: got.text });
    if (got.pick) {
      const items = (got.pick.items || []).map((i) => ({ id: i.id, title: i.title, detail: i.detail }));
      pick(got.pick.title, items, (item) => {
        this.send(`${got.pick.then} ${item.id}`, false);
      });
    }
    if (got.fill || got.insert) this.composer.set((got.fill || '') + (got.insert || ''));
    if (/^\/jobs( |$)/.test(line)) this.jobs.show(session.id, this.jobs.open);
  }

  // own does the commands that are the page's.
  own(line) {
    const [name, ...words] = line.split(/\s+/);
    if (name === '/new') this.go('#/new');
    else if (name === '/sessions' || name === '/resume') {
      this.sidebar(true);
      byId('search').value = words.join(' ');
      byId('search').dispatchEvent(new Event('input'));
      byId('search').focus();
    } else if (name === '/fork' && this.session) this.fork();
    else if (name === '/export' && this.session && words.length < 2) this.exported(words[0] || 'md');
    else if (name === '/agents' && this.session) this.agents();
    else if (name === '/theme') this.theme();
    else if (name === '/help') help(this.composer.commands);
    else if (name === '/quit') this.say('Closing the page ends nothing: what works goes on.');
    else return false;
    return true;
  }

  // agents has a person choose a sub-agent to look at.
  agents() {
    const { id, record } = this.session;
    const calls = record.items.filter((i) => i.kind === 'call' && i.name === 'research').reverse();
    if (!calls.length) this.say('This session has asked no sub-agents: they are the calls of research.');
    else pick('Sub-agents', calls.map((c) => ({ id: c.id, title: headline(c.args), detail: c.summary || c.state })), (item) => subAgent(id, calls.find((c) => c.id === item.id)));
  }

  // act does one thing with the session, and says what went wrong.
  async act(what) {
    try {
      return await what(this.session?.id);
    } catch (err) {
      this.say(wordsOf(err));
      return null;
    }
  }

  stop() { if (this.session) this.act((id) => api.stop(id)); }

  goOn() { this.act((id) => api.goOn(id)); }

  async takeBack() {
    const got = await this.act((id) => api.unqueue(id));
    if (!got?.text) return null;
    this.composer.set(this.composer.text ? `${got.text}\n${this.composer.text}` : got.text);
    this.composer.focus();
    return got.text;
  }

  async sendHeld() {
    const texts = [];
    for (let n = this.session?.state?.queue?.length || 0; n > 0; n--) {
      const got = await this.act((id) => api.unqueue(id));
      if (got?.text) texts.unshift(got.text);
    }
    for (const text of texts) {
      if (!(await this.act((id) => api.say(id, text, false)))) this.composer.set(`${this.composer.text}\n${text}`.trim());
    }
  }

  async set(what) {
    if (!Object.values(what)[0]) return;
    if (!this.session) {
      Object.assign(this.fresh, what);
      this.bar.show({ ...this.fresh, mode: this.fresh.mode || this.server.mode, confinement: this.server.confinement });
      return;
    }
    const session = this.session;
    const got = await this.act((id) => api.change(id, what));
    if (session !== this.session) return;
    const state = got?.phase ? got : got?.state;
    if (state && typeof state === 'object') session.setState(state);
    else if (session.state) this.bar.show(session.state);
  }

  async retitle(title, before) {
    const got = await this.act((id) => api.change(id, { title }));
    this.titleIs(got ? title : before);
    this.list.soon();
  }

  // again goes on from before a prompt in a copy of the session, with the prompt to
  // be said in other words.
  again(item) {
    const { record } = this.session;
    if (record.items.find((i) => i.kind === 'prompt') === item) {
      this.fresh.dir = byId('folder').value = record.opened?.dir || '';
      this.composer.drafts.set('', item.text);
      this.go('#/new');
    } else this.fork(item.seq - 1, item.text);
  }

  async fork(at, draft) {
    const got = await this.act((id) => api.fork(id, at));
    if (!got?.id) return;
    if (draft) this.composer.drafts.set(got.id, draft);
    this.go(`#/s/${encodeURIComponent(got.id)}`);
    this.list.soon();
  }

  menu() {
    const id = this.session?.id;
    if (!id) return;
    const items = [
      { id: 'md', title: 'Export as Markdown' }, { id: 'html', title: 'Export as a page' }, { id: 'jsonl', title: 'Export the events', detail: 'JSON lines' },
      { id: 'fork', title: 'Fork', detail: 'go on in a copy of this session' },
      ...(canNotify() ? [{ id: 'notify', title: wasNotified() ? 'No notifications' : 'Notify me', detail: 'when a session needs a word or is done, and you look elsewhere' }] : []),
      { id: 'delete', title: 'Delete…', detail: 'for good' },
    ];
    pick('Session', items, (item) => {
      if (item.id === 'fork') this.fork();
      else if (item.id === 'delete') this.remove(id);
      else if (item.id === 'notify') notifications(!wasNotified()).then((on) => this.say(on ? 'You are notified.' : 'You are not notified.'));
      else this.exported(item.id);
    });
  }

  async exported(format) {
    if (!['md', 'html', 'jsonl'].includes(format)) {
      this.say(`There is no format ${cut(format, 30)}: md, html or jsonl.`);
      return;
    }
    const file = await this.act((id) => api.exported(id, format));
    if (!file) return;
    // A page would be shown under this server's name if the browser opened it: it is bytes.
    const href = URL.createObjectURL(new Blob([file.data], { type: 'application/octet-stream' }));
    h('a', { href, download: file.name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  }

  remove(id) {
    sure('Delete this session?', `“${this.title.textContent || id}” is deleted for good, with what its tools kept. Files of the workspace stay.`, 'Delete', async () => {
      const got = await this.act(() => api.remove(id));
      if (!got) return;
      if (this.session?.id === id) this.go('#/new');
      this.list.soon();
    });
  }

  showJobs(open) {
    byId('app').classList.toggle('with-jobs', open);
    byId('jobs-button').setAttribute('aria-expanded', String(open));
    this.jobs.show(this.session?.id || '', open);
  }

  get narrow() { return matchMedia('(max-width: 760px)').matches; }

  // sidebar shows or hides the list; on a phone it lies over the rest.
  sidebar(open, phone) {
    const app = byId('app');
    const { narrow } = this;
    if (phone && !narrow) return;
    const name = narrow ? 'sessions-over' : 'no-sessions';
    const on = open === undefined ? !app.classList.contains(name) : narrow ? open : !open;
    app.classList.toggle(name, on);
    if (!narrow) remember('sessions', on ? 'closed' : '');
    const shown = narrow ? on : !on;
    byId('sessions-button').setAttribute('aria-expanded', String(shown));
  }

  theme() {
    const order = ['', 'light', 'dark'];
    const next = order[(order.indexOf(recall('theme')) + 1) % 3];
    remember('theme', next);
    document.documentElement.dataset.theme = next;
    this.say(`Colours: ${next || 'as the system says'}`);
  }

  key(e) {
    if (e.key === 'Escape' && !document.querySelector('dialog[open]') && !e.defaultPrevented) {
      if (byId('app').classList.contains('sessions-over')) this.sidebar(false);
      else if (this.composer.working || this.composer.runs) this.stop();
      return;
    }
    if (!e.altKey || e.ctrlKey || e.metaKey) return;
    const does = {
      KeyN: () => this.go('#/new'), KeyS: () => { this.sidebar(true); byId('search').focus(); }, KeyJ: () => this.showJobs(!this.jobs.open), KeyQ: () => this.questions.enter(),
    }[e.code];
    if (!does || !this.server) return;
    e.preventDefault();
    does();
  }

  // banner says what stays until it is over; "" takes it away.
  banner(text) {
    const el = byId('banner');
    if (text && el.hidden) announce(text);
    el.hidden = !text;
    el.textContent = text;
  }

  // say says something that goes by itself.
  say(text) {
    const el = h('div', { class: 'toast' }, h('div', null, text), button('×', () => el.remove(), { 'aria-label': 'Dismiss', class: 'quiet' }));
    for (const t of byId('toasts').children) if (t.firstChild.textContent === text) t.remove();
    byId('toasts').append(el);
    setTimeout(() => el.remove(), 4000 + text.length * 50);
  }
}

// elsewhere are commands that need a terminal.
const elsewhere = new Set(['/quit', '/memory', '/paste', '/login', '/resume']);

const clean = (what) => Object.fromEntries(Object.entries(what).filter(([, v]) => v));

new Page().start();
