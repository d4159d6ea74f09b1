// Words to a person who looks elsewhere: for a screen reader, in the title, and by
// the browser's notifications if they asked for them.

import { byId } from './dom.js';
import { cleanLine, cut } from './words.js';

let wanted = false;
let title = '';
let badge = '';

// announce says one thing to a screen reader.
export function announce(text) {
  const el = byId('said');
  el.textContent = '';
  requestAnimationFrame(() => { el.textContent = cleanLine(text); });
}

// titled writes the window's title: how many sessions need a word, and which is
// shown.
export function titled(name, asking, working) {
  if (name !== undefined) title = name;
  if (asking !== undefined) badge = asking > 0 ? `(${asking}) ` : working ? '● ' : '';
  document.title = `${badge}${title ? `${cut(cleanLine(title), 60)} · ` : ''}ml-intern`;
}

export const canNotify = () => 'Notification' in window;

// notifications turns them on, or off, and says whether they are on. The choice
// holds for this browser, as its leave does.
export async function notifications(on) {
  wanted = !!on && canNotify() && (await Notification.requestPermission()) === 'granted';
  remember('notify', wanted ? 'on' : '');
  return wanted;
}

export function wasNotified() {
  wanted = recall('notify') === 'on' && canNotify() && Notification.permission === 'granted';
  return wanted;
}

// notify tells of a session, if nobody looks at it.
export function notify(id, head, text, seen) {
  if (!wanted || (!document.hidden && seen)) return;
  try {
    const n = new Notification(cut(cleanLine(head), 80), { body: cut(cleanLine(text), 200), tag: id });
    n.onclick = () => { window.focus(); location.hash = `#/s/${encodeURIComponent(id)}`; n.close(); };
  } catch {
    // some browsers have them for installed pages only
  }
}

// remember keeps how the page looks, and nothing of a session.
export function remember(name, value) {
  try {
    if (value) localStorage.setItem(`ml-intern.${name}`, value);
    else localStorage.removeItem(`ml-intern.${name}`);
  } catch {
    // a browser that keeps nothing shows it as it is at first
  }
}

export function recall(name) {
  try {
    return localStorage.getItem(`ml-intern.${name}`) || '';
  } catch {
    return '';
  }
}
