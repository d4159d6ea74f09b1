// Shows the items of a record. Only the latest are drawn at first; earlier ones
// when they are scrolled to. What changes is drawn once in a frame.

import { h, put, button, perFrame } from './dom.js';
import { drawItem, tick } from './items.js';
import { thousands } from './words.js';

const batch = 60; // items drawn at once
const near = 80; // pixels from the end that count as the end
const moves = ['wheel', 'touchmove', 'keydown', 'pointerdown'];
const ahead = 800; // pixels from what is drawn, where more is drawn

// A Transcript shows record in el, which scrolls.
export class Transcript {
  constructor(el, doing) {
    this.el = el;
    this.doing = doing; // what items can have done
    this.list = h('div', { class: 'items' });
    this.earlier = button('', () => this.more(), { class: 'earlier' });
    this.earlier.hidden = true;
    this.latest = button('↓ Latest', () => this.toEnd(true), { class: 'latest' });
    this.latest.hidden = true;
    put(el, this.earlier, this.list, this.latest);
    this.items = [];
    this.from = 0; // of the items: the first that is drawn
    this.dirty = new Set();
    this.following = true;
    this.quiet = true; // nothing is drawn until the past is read
    this.draw = perFrame(() => this.frame());
    this.top = 0;
    this.onscroll = () => this.scrolled();
    el.addEventListener('scroll', this.onscroll, { passive: true });
    this.moved = 0; // when a person last did what may scroll
    this.asked = 0; // when they last asked for the end
    this.height = 0;
    this.onmove = () => { this.moved = performance.now(); };
    for (const what of moves) el.addEventListener(what, this.onmove, { passive: true });
    this.sizes = new ResizeObserver(() => { if (this.following) this.toEnd(); });
    this.sizes.observe(this.list);
    this.sizes.observe(el);
    this.list.addEventListener('click', (e) => { // who opens something wants to read it
      if (e.target.closest('summary, .more')) this.follow(false);
    });
    this.clock = setInterval(() => this.beat(), 1000);
  }

  close() {
    this.el.removeEventListener('scroll', this.onscroll);
    for (const what of moves) this.el.removeEventListener(what, this.onmove);
    this.sizes.disconnect();
    clearInterval(this.clock);
    this.closed = true;
  }

  // show shows the record from its end.
  show(record) {
    this.record = record;
    this.items = record.items;
  }

  changed(item) {
    this.dirty.add(item);
    if (!this.quiet) this.draw();
  }

  gone(items) {
    for (const item of items) {
      item.el?.remove();
      item.el = null;
      this.dirty.delete(item);
    }
  }

  // ready draws what was read of the past.
  ready() {
    if (!this.quiet) return;
    this.quiet = false;
    this.from = Math.max(this.items.length - batch, 0);
    this.frame();
    this.toEnd();
  }

  frame() {
    if (this.closed || this.quiet) return;
    const dirty = [...this.dirty];
    this.dirty.clear();
    for (const item of dirty) {
      if (item.el) this.drawOne(item);
    }
    this.place();
    this.earlier.hidden = this.from <= 0;
    this.earlier.textContent = `Show earlier (${thousands(this.from)})`;
    if (this.following) this.toEnd();
  }

  // place puts every item from the first that is drawn where it belongs.
  place() {
    const { items } = this;
    let at = items.length;
    let after = null; // what stands behind
    while (at > this.from) {
      const item = items[--at];
      if (!item.el) {
        this.drawOne(item);
        this.list.insertBefore(item.el, after);
      } else if (item.el.nextSibling !== after || item.el.parentNode !== this.list) this.list.insertBefore(item.el, after);
      else if (after && items[at + 1].settled && item.settled) break; // what is before stands
      after = item.el;
      item.settled = at < items.length - batch;
    }
  }

  drawOne(item) {
    const before = item.el;
    item.el = drawItem(item, this.doing);
    if (before && before !== item.el) before.replaceWith(item.el);
  }

  // more draws a batch of earlier items, and what is seen stays where it is.
  more() {
    if (this.from <= 0) return;
    const anchor = this.items[this.from]?.el;
    const before = anchor?.getBoundingClientRect().top;
    const until = this.from;
    this.from = Math.max(this.from - batch, 0);
    const part = document.createDocumentFragment();
    for (let i = this.from; i < until; i++) {
      this.drawOne(this.items[i]);
      this.items[i].settled = true;
      part.append(this.items[i].el);
    }
    this.list.insertBefore(part, anchor || null);
    this.earlier.hidden = this.from <= 0;
    this.earlier.textContent = `Show earlier (${thousands(this.from)})`;
    if (anchor) this.el.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.el;
    const up = scrollTop < this.top - 1;
    if (this.following && up && !this.byPerson(scrollHeight)) this.toEnd();
    else if (scrollHeight - scrollTop - clientHeight < near) this.follow(true);
    else if (up) this.follow(false);
    this.top = this.el.scrollTop;
    this.height = scrollHeight;
    if (!this.following && scrollTop < ahead) this.more();
  }

  // byPerson tells a scroll that somebody wants from one that comes of items that
  // get their true heights, or that went on from before they asked for the end.
  byPerson(height) {
    const now = performance.now();
    if (this.moved > this.asked && now - this.moved < 2000) return true;
    return height === this.height && now - this.asked > 1000;
  }

  follow(on) {
    this.following = on;
    this.latest.hidden = on;
  }

  toEnd(asked) {
    if (asked) {
      this.asked = performance.now();
      this.follow(true);
    }
    this.el.scrollTop = this.el.scrollHeight;
    this.top = this.el.scrollTop;
  }

  // beat moves the clocks of what runs.
  beat() {
    if (document.hidden || this.quiet) return;
    for (let i = this.items.length - 1; i >= Math.max(this.from, this.items.length - 200); i--) {
      if (this.items[i].el) tick(this.items[i]);
    }
  }
}
