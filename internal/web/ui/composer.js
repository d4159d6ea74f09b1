// What the person writes: the prompt, the list of commands, and what waits.

import { h, put, button } from './dom.js';
import { clean, cut } from './words.js';

// isCommand reports whether a text is a command of the chat. A path is none.
export const isCommand = (text) => /^\/[^\s/]*(\s|$)/.test(text);

const hasFiles = (given) => !!given && [...given.types].includes('Files');

// A Composer sends what is written. on has send(text, now), stop(), takeBack(),
// sendHeld(), help(), note(text).
export class Composer {
  constructor(el, on) {
    this.on = on;
    this.commands = [];
    this.said = () => [];
    this.working = this.runs = false;
    this.drafts = new Map();
    this.id = '';
    this.area = h('textarea', { id: 'prompt', rows: '1', placeholder: 'Ask, or / for commands', 'aria-label': 'Prompt', autocomplete: 'off', 'aria-haspopup': 'listbox', 'aria-controls': 'commands', 'aria-autocomplete': 'list' });
    this.list = h('ul', { id: 'commands', role: 'listbox', 'aria-label': 'Commands', hidden: true });
    this.queue = h('div', { class: 'queue', 'aria-label': 'What waits', hidden: true });
    this.now = button('Say now', () => this.submit(true), { class: 'quiet', title: 'Ctrl+Enter: the turn at work hears it', hidden: true });
    this.stop = button('Stop', () => on.stop(), { class: 'stop', title: 'Esc', hidden: true });
    this.send = button('Send', () => this.submit(false), { class: 'send', title: 'Enter' });
    put(el, this.queue, h('div', { class: 'write' }, this.list, this.area, h('div', { class: 'row' }, this.now, this.stop, this.send)));
    this.area.addEventListener('input', () => { this.fit(); this.suggest(); });
    this.area.addEventListener('keydown', (e) => this.key(e));
    this.area.addEventListener('blur', () => setTimeout(() => this.close(), 150));
    this.at = 0;
    this.seen = [];
    addEventListener('dragover', (e) => { if (hasFiles(e.dataTransfer)) e.preventDefault(); }); // else the browser leaves the page for the file
    for (const how of ['drop', 'paste']) {
      addEventListener(how, (e) => {
        const given = e.dataTransfer || e.clipboardData;
        if (!hasFiles(given) || (how === 'paste' && given.types.includes('text/plain'))) return;
        e.preventDefault();
        on.note('The page takes no files and pictures: save it in the folder of the session, and name it in the prompt, a picture as @picture.png.');
      });
    }
  }

  get text() { return this.area.value; }

  set(text) {
    this.area.value = text;
    this.fit();
    this.close();
  }

  focus() { this.area.focus(); }

  // open changes to another session; what was written for each stays while the
  // page does.
  open(id) {
    if (id === this.id) return;
    this.drafts.set(this.id, this.text);
    this.id = id;
    this.set(this.drafts.get(id) || '');
  }

  fit() {
    this.area.style.height = 'auto';
    this.area.style.height = `${Math.min(this.area.scrollHeight + 2, window.innerHeight * 0.4)}px`;
  }

  // show tells how things stand.
  show(state) {
    const phase = state?.phase || 'idle';
    this.working = phase !== 'idle';
    this.runs = !this.working && state?.commands_busy > 0; // a command of the person's own
    this.stop.hidden = !this.working && !this.runs;
    this.stop.disabled = phase === 'stopping';
    this.stop.textContent = phase === 'stopping' ? 'Stopping…' : 'Stop';
    this.now.hidden = !this.working;
    this.send.textContent = this.working ? 'Queue' : 'Send';
    const steers = state?.steers || [];
    const queue = state?.queue || [];
    this.waiting = steers.length + queue.length > 0;
    this.queue.hidden = !this.waiting;
    const key = JSON.stringify([steers, queue, state?.held]);
    if (key === this.queueKey) return;
    this.queueKey = key;
    const line = (text, what) => h('li', null, h('span', { class: 'muted' }, what), ' ', clean(cut(text, 300)));
    put(this.queue, h('ul', null, steers.map((t) => line(t, 'for the turn at work:')), queue.map((t) => line(t, state.held ? 'held back:' : 'waits:'))),
      h('div', { class: 'row' }, button('Take back', () => this.on.takeBack(), { class: 'quiet' }), state?.held ? button('Send it', () => this.on.sendHeld(), { class: 'quiet' }) : null));
  }

  async submit(now) {
    const text = this.text;
    if (!text.trim() || this.sending) return;
    this.sending = true;
    this.set('');
    const kept = await this.on.send(text, now); // false gives it back
    this.sending = false;
    if (kept === false && !this.text) this.set(text);
  }

  key(e) {
    if (e.isComposing || e.keyCode === 229) return;
    if (this.seen.length && !this.list.hidden) {
      if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
        e.preventDefault();
        this.at = (this.at + (e.key === 'ArrowDown' ? 1 : this.seen.length - 1)) % this.seen.length;
        this.mark();
        return;
      }
      if (e.key === 'Escape') {
        e.preventDefault();
        e.stopPropagation();
        this.close();
        return;
      }
      if (e.key === 'Tab' && !e.shiftKey) {
        e.preventDefault();
        this.complete(this.seen[this.at], false);
        return;
      }
      if (e.key === 'Enter' && !e.shiftKey && !e.ctrlKey && !e.metaKey && this.seen[this.at].name !== this.text.trim()) {
        e.preventDefault();
        this.complete(this.seen[this.at], true);
        return;
      }
    }
    if (e.key === 'Enter' && !e.shiftKey) {
      e.preventDefault();
      this.submit(e.ctrlKey || e.metaKey);
    } else if (e.key === 'ArrowUp' && !this.text) {
      if (this.waiting) this.on.takeBack();
      else this.set(this.said().at(-1) || '');
      e.preventDefault();
    } else if (e.key === '?' && !this.text) {
      e.preventDefault();
      this.on.help();
    }
  }

  // suggest lists the commands that have the letters in order.
  suggest() {
    const m = /^\/(\S*)$/.exec(this.text);
    if (!m) {
      this.close();
      return;
    }
    const letters = m[1].toLowerCase();
    const fits = (name) => {
      let at = 0;
      for (const c of name.toLowerCase()) if (c === letters[at]) at++;
      return at >= letters.length;
    };
    const all = this.commands.filter((c) => fits(c.name.slice(1)));
    all.sort((a, b) => Number(b.name.slice(1).startsWith(letters)) - Number(a.name.slice(1).startsWith(letters)));
    this.seen = all.slice(0, 40);
    this.at = 0;
    this.list.hidden = !this.seen.length;
    put(this.list, this.seen.map((c, i) => h('li', { role: 'option', id: `command-${i}`, onmousedown: (e) => { e.preventDefault(); this.complete(c, true); this.area.focus(); } },
      h('code', null, `${c.name} ${c.args || ''}`), h('span', { class: 'muted' }, clean(c.help)))));
    this.mark();
  }

  mark() {
    [...this.list.children].forEach((li, i) => li.setAttribute('aria-selected', String(i === this.at)));
    this.area.setAttribute('aria-activedescendant', this.seen.length ? `command-${this.at}` : '');
    this.list.children[this.at]?.scrollIntoView({ block: 'nearest' });
  }

  complete(command, run) {
    this.set(command.args ? `${command.name} ` : command.name);
    if (run && !command.args) this.submit(false);
  }

  close() {
    this.seen = [];
    this.list.hidden = true;
    this.area.removeAttribute('aria-activedescendant');
  }
}
