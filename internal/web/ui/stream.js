// A session's events, read again from where they broke off. The browser's own
// EventSource cannot be told where to begin, nor say why it was refused.

import { api, known } from './api.js';

const quiet = 45000; // the server says something each 15 s
const longest = 10000; // between two attempts
const unseen = 30000; // that a page is not looked at until its stream ends: a browser has six connections to a server, for all its pages

// A Stream reads until it is closed. on has: begin(), which says that what was
// live of an earlier connection is void; message(type, data, id); link(up,
// words); refused(status).
export class Stream {
  constructor(id, on) {
    this.id = id;
    this.on = on;
    this.last = 0; // the last saved event that was read
    this.closed = false;
    this.failures = 0;
    this.now = () => this.looked();
    addEventListener('online', this.now);
    document.addEventListener('visibilitychange', this.now);
    this.run();
  }

  close() {
    this.closed = true;
    clearTimeout(this.sleep);
    this.abort?.abort();
    this.wake?.();
    removeEventListener('online', this.now);
    document.removeEventListener('visibilitychange', this.now);
  }

  // looked wakes what waits, when somebody looks at the page again.
  looked() {
    clearTimeout(this.sleep);
    this.asleep = false;
    if (document.hidden) {
      this.sleep = setTimeout(() => {
        this.asleep = true;
        this.abort?.abort();
      }, unseen);
    } else this.wake?.();
  }

  async run() {
    while (!this.closed) {
      if (this.asleep) {
        await this.pause(0x7fffffff);
        continue;
      }
      try {
        if (!(await this.read())) return;
      } catch {
        if (this.closed) return;
      }
      if (this.asleep) continue;
      this.failures++;
      if (this.failures > 1) this.on.link(false, 'The connection is lost. Trying again…');
      await this.pause(Math.min(200 * 2 ** this.failures, longest) * (0.75 + Math.random() / 2));
    }
  }

  pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.wake = () => { clearTimeout(timer); done(); };
    }).then(() => { this.wake = null; });
  }

  // read reads one connection to its end; false means that there is no use in
  // another one.
  async read() {
    this.abort = new AbortController();
    const watch = () => {
      clearTimeout(this.watchdog);
      this.watchdog = setTimeout(() => this.abort.abort(), quiet);
    };
    watch();
    try {
      const answer = await fetch(api.eventsOf(this.id, this.last), {
        headers: { ...known(), Accept: 'text/event-stream', 'Last-Event-ID': String(this.last) },
        signal: this.abort.signal, cache: 'no-store', credentials: 'same-origin',
      });
      if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
        this.on.refused(answer.status);
        return false;
      }
      if (!answer.ok) return true;
      this.on.begin();
      await this.lines(answer.body.pipeThrough(new TextDecoderStream()).getReader(), watch);
    } finally {
      clearTimeout(this.watchdog);
    }
    return true;
  }

  async lines(reader, watch) {
    let rest = '';
    let message = { type: 'message', data: [], id: '' };
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.closed) return;
      watch();
      if (this.failures > 0) {
        this.failures = 0;
        this.on.link(true, '');
      }
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (let line of lines) {
        if (line.endsWith('\r')) line = line.slice(0, -1);
        if (line === '') {
          if (message.data.length) this.tell(message);
          message = { type: 'message', data: [], id: '' };
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
        if (field === 'event') message.type = text;
        else if (field === 'data') message.data.push(text);
        else if (field === 'id') message.id = text;
      }
    }
  }

  tell(message) {
    const seq = Number(message.id) || 0;
    if (this.closed || (seq && seq <= this.last)) return; // nobody reads it, or it was read
    let data;
    try {
      data = JSON.parse(message.data.join('\n'));
    } catch {
      return;
    }
    if (seq) this.last = seq;
    this.on.message(message.type, data, seq);
  }
}
