// What a sub-agent says and does, read from its own session while it works.

import { api, wordsOf } from './api.js';
import { sheet } from './dialogs.js';
import { Record, headline } from './record.js';
import { Transcript } from './transcript.js';
import { h } from './dom.js';

const every = 2000;
const page = 1000; // events that one answer has at most

// subAgent shows the sub-agent of a call of the session.
export function subAgent(id, call) {
  let view;
  let timer;
  const body = sheet(`Sub-agent: ${headline(call.args)}`, () => {
    clearTimeout(timer);
    view.close();
    view = null;
  });
  view = new Transcript(body, { goOn() {} });
  const record = new Record({ changed: (i) => view?.changed(i), gone: (i) => view?.gone(i), plan() {} });
  view.show(record);
  let last = 0;
  const read = async () => {
    try {
      const got = await api.agent(id, call.id, last);
      if (!view) return;
      const events = got.list || [];
      for (const ev of events) {
        if (ev.seq) last = ev.seq;
        record.event(ev);
      }
      if (events.length >= page) {
        read();
        return;
      }
      view.ready();
      if (!record.items.length) record.add({ kind: 'word', text: 'It has not begun.' });
    } catch (err) {
      if (view) body.prepend(h('p', { class: 'failure' }, wordsOf(err)));
      return;
    }
    if (call.state === 'running' || call.state === 'waiting') timer = setTimeout(read, every);
  };
  read();
}
