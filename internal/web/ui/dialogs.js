// Dialogs: a list to choose from, a question that wants a yes, and a panel. They
// are the browser's own, which keeps the keyboard in them and gives it back.

import { h, put, button } from './dom.js';
import { clean, cleanLine } from './words.js';

function dialog(props, ...children) {
  const el = h('dialog', props, ...children);
  el.addEventListener('close', () => el.remove());
  el.addEventListener('click', (e) => { if (e.target === el) el.close(); }); // beside it
  document.body.append(el);
  el.showModal();
  return el;
}

// pick has a person choose one of items: {id, title, detail}. Nothing is chosen
// if they leave it.
export function pick(title, items, chosen) {
  const filter = h('input', { type: 'search', placeholder: 'Filter', 'aria-label': `Filter: ${title}`, autocomplete: 'off', spellcheck: 'false', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'picked' });
  const list = h('ul', { role: 'listbox', id: 'picked', 'aria-label': title });
  const el = dialog({ class: 'pick', 'aria-label': title }, h('h2', null, clean(title)), filter, list);
  let seen = [];
  let at = 0;
  const mark = () => {
    [...list.children].forEach((li, i) => li.setAttribute('aria-selected', String(i === at)));
    const li = list.children[at];
    filter.setAttribute('aria-activedescendant', li?.id || '');
    li?.scrollIntoView({ block: 'nearest' });
  };
  const take = (item) => { el.close(); chosen(item); };
  const show = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    seen = items.filter((i) => words.every((w) => `${i.id} ${i.title || ''} ${i.detail || ''}`.toLowerCase().includes(w))).slice(0, 200);
    at = 0;
    put(list, seen.map((item, n) => h('li', { role: 'option', id: `picked-${n}`, onclick: () => take(item) },
      h('span', null, cleanLine(item.title || item.id)), item.detail ? h('span', { class: 'muted' }, cleanLine(item.detail)) : null)));
    if (!seen.length) put(list, h('li', { class: 'muted' }, 'Nothing fits.'));
    mark();
  };
  filter.addEventListener('input', show);
  el.addEventListener('keydown', (e) => {
    if (e.isComposing) return;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      at = (at + (e.key === 'ArrowDown' ? 1 : seen.length - 1)) % Math.max(seen.length, 1);
      mark();
    } else if (e.key === 'Enter' && seen[at]) {
      e.preventDefault();
      take(seen[at]);
    }
  });
  show();
  filter.focus();
}

// sure asks before something that cannot be taken back.
export function sure(question, detail, yes, then) {
  const no = button('Cancel', () => el.close());
  const el = dialog({ class: 'sure', 'aria-label': question }, h('h2', null, clean(question)), h('p', null, clean(detail)),
    h('div', { class: 'row' }, no, button(yes, () => { el.close(); then(); }, { class: 'danger' })));
  no.focus();
}

// sheet shows something large. It returns the element to fill; closed is called
// when it is left.
export function sheet(title, closed) {
  const body = h('div', { class: 'sheet-body', tabindex: '0' });
  const el = dialog({ class: 'sheet', 'aria-label': title }, h('header', null, h('h2', null, cleanLine(title).slice(0, 200)), button('Close', () => el.close())), body);
  el.addEventListener('close', closed);
  return body;
}

// help shows keys and commands.
export function help(commands) {
  const keys = [
    ['Enter', 'sends; while a turn works it waits for the turn’s end'], ['Ctrl+Enter', 'says it now: the turn at work hears it'], ['Shift+Enter', 'new line'],
    ['↑', 'in an empty prompt: takes back what waits, or what you said last'], ['Esc', 'stops the turn, or your own commands; in a question: back to the prompt'], ['/', 'the commands'], ['!', 'runs a command where the model’s run'],
    ['y n r s a e', 'in a question: yes, no, no because, yes for the session, yes always, edit'], ['Alt+N', 'new session'], ['Alt+S', 'search sessions'], ['Alt+J', 'jobs'], ['Alt+Q', 'to the question'],
  ];
  const body = sheet('Keys and commands', () => {});
  put(body, h('table', { class: 'keys' }, keys.map(([k, d]) => h('tr', null, h('td', null, h('kbd', null, k)), h('td', null, d)))),
    h('h3', null, 'Commands'), h('table', { class: 'keys' }, commands.map((c) => h('tr', null, h('td', null, h('code', null, `${c.name} ${c.args || ''}`)), h('td', null, clean(c.help))))));
}
