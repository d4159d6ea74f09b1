// One session as the page follows it: its events, how it stands, its question.
// All of it comes from the server each time it is opened.

import { Stream } from './stream.js';
import { Record } from './record.js';
import { Transcript } from './transcript.js';
import { api } from './api.js';

// A Session shows the session in el. on has state(state), ask(ask), plan(plan),
// link(up, words), refused(status), ready(), ended(ended), say(text),
// and what items can have done.
export class Session {
  constructor(id, el, on) {
    this.id = id;
    this.on = on;
    this.state = null;
    this.ask = null;
    this.caughtUp = false;
    this.view = new Transcript(el, on);
    this.record = new Record({
      changed: (item) => this.view.changed(item),
      gone: (items) => this.view.gone(items),
      plan: (plan) => { if (this.caughtUp) on.plan(plan); },
    });
    this.view.show(this.record);
    this.stream = new Stream(id, {
      begin: () => this.begin(),
      message: (type, data) => this.message(type, data),
      link: (up, words) => on.link(up, words),
      refused: (status) => on.refused(status),
    });
  }

  close() {
    this.closed = true;
    this.stream.close();
    this.view.close();
  }

  // begin: what was live of an earlier connection comes again, or is in the log.
  begin() {
    this.record.drop();
    this.sure = false;
  }

  message(type, data) {
    switch (type) {
      case 'event':
        this.record.event(data);
        if (data.renamed) this.on.renamed(data.renamed.title);
        else if (this.caughtUp && this.sure && !this.state) this.byOthers();
        break;
      case 'caught_up':
        this.caughtUp = true;
        this.view.ready();
        this.on.plan(this.record.plan);
        this.on.ready(this);
        if (!this.asked) this.look();
        break;
      case 'state':
        this.sure = true;
        this.setState(data);
        break;
      case 'ask':
        this.ask = data;
        this.on.ask(data);
        break;
      case 'ask_over':
        if (!this.ask || data.id === undefined || data.id === this.ask.id) {
          this.ask = null;
          this.on.ask(null);
        }
        break;
      case 'notice':
        this.record.notice(data.text);
        break;
      case 'ran':
        this.record.ran(data);
        break;
      case 'ended':
        this.record.over();
        this.on.ended(data);
        break;
      default:
    }
  }

  // byOthers: what is saved in a session that is not open here, another process
  // does, until the prompt has its answer.
  byOthers() {
    const was = this.elsewhere;
    this.elsewhere = this.record.unanswered && !this.record.items.at(-1)?.goOn;
    if (this.elsewhere !== was) this.on.state(null);
  }

  // look asks once how the session stands, for what the stream does not say of one
  // that is not open here.
  async look() {
    this.asked = true;
    try {
      const now = await api.session(this.id);
      if (this.closed) return;
      this.summary = now;
      this.on.summary(now);
      if (now.state && typeof now.state === 'object' && !this.sure) this.setState(now.state);
      if (now.ask && !this.ask) {
        this.ask = now.ask;
        this.on.ask(now.ask);
      }
    } catch {
      this.asked = false; // the stream says what is wrong
    }
  }

  setState(state) {
    this.state = state;
    this.elsewhere = false;
    if (!state || state.phase === 'idle') this.record.over();
    this.on.state(state);
    if (state?.phase !== 'asking' && this.ask) {
      this.ask = null;
      this.on.ask(null);
    }
  }
}
