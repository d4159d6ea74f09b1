// What a case has in its hands: the stage, which is the program with a model that
// plays a script, and a browser that counts what it loads and what its policy
// refuses.

import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';

const { chromium } = createRequire(join(process.env.PLAYWRIGHT, 'x.js'))('playwright-core');
export { assert };

export const patience = 30000; // for what should come soon, on a machine that has much to do

// A Stage is what the test in Go has set up.
export class Stage {
  async ask(path, body) {
    const answer = await fetch(`${process.env.STAGE}/${path}`, body === undefined ? {} : { method: 'POST', body });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
    return answer.json();
  }

  turns(...turns) { return this.ask('turns', JSON.stringify(turns)); }

  // start starts the server and returns the address that it prints.
  async start(query = '') {
    const { address, addr } = await this.ask(`start${query}`);
    this.origin = `http://${addr}`;
    this.address = address;
    return address;
  }

  kill() { return this.ask('kill'); }
  read(name) { return this.ask(`file?name=${name}`); }
  write(name, text) { return this.ask(`file?name=${name}`, text); }
  asked() { return this.ask('asked'); }

  // until waits for a file of the workspace.
  async until(name) {
    for (const end = Date.now() + patience; Date.now() < end;) {
      const text = await this.read(name);
      if (text !== null) return text;
      await new Promise((r) => setTimeout(r, 50));
    }
    throw new Error(`there is no ${name}`);
  }
}

export const call = (name, args, text = '') => ({ text, calls: [{ name, args: JSON.stringify(args) }] });
export const bash = (command, text) => call('bash', { command }, text);

// hold is a command that runs until the stage has the file.
export const hold = (file) => `while [ ! -e ${file} ]; do sleep 0.1; done; echo released`;

// open starts the browser. Every page counts requests to others, what the policy
// refused, dialogs and errors.
export async function browser() {
  const path = process.env.CHROMIUM || ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  const b = await chromium.launch({ executablePath: path, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'], headless: true });
  b.context = async (options = {}) => {
    const context = await b.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(patience);
    return context;
  };
  return b;
}

// A Tab is a page with what it must not do.
export async function tab(context, address) {
  const page = await context.newPage();
  page.errors = [];
  page.foreign = [];
  page.on('pageerror', (err) => page.errors.push(String(err)));
  page.on('dialog', (d) => { page.errors.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource|ERR_/.test(m.text())) page.errors.push(m.text()); });
  page.on('request', (r) => { if (!r.url().startsWith(new URL(address).origin) && !r.url().startsWith('data:')) page.foreign.push(r.url()); });
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  });
  await page.goto(address);
  return page;
}

// signIn opens the address that the server prints.
export async function signIn(stage, context) {
  const page = await tab(context, stage.address);
  await page.locator('#app').waitFor();
  return page;
}

export async function say(page, text, key = 'Enter') {
  await page.locator('#prompt').fill(text);
  await page.locator('#prompt').press(key);
}

export const seen = (page, text, where = '#transcript') => page.locator(where).getByText(text).first().waitFor();

// see waits until what a function in the page returns is true.
export const until = (page, what, arg) => page.waitForFunction(what, arg, { timeout: patience });

// well fails if the page did what no page may.
export async function well(page) {
  assert.deepEqual(page.errors, [], 'errors of the page');
  assert.deepEqual(page.foreign, [], 'requests to others');
  assert.deepEqual(await page.evaluate(() => window.violations), [], 'refused by the policy');
}

export const count = (page, text) => page.evaluate((t) => document.querySelector('#transcript').innerText.split(t).length - 1, text);

export async function shot(page, name) {
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

// faint lists texts whose contrast to their ground is below 4.5.
export const faint = (page) => page.evaluate(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let t; (t = texts.nextNode());) {
    const el = t.parentElement;
    if (!t.data.trim() || !el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const under = ground(el);
    const [x, y] = [light(over(rgba(getComputedStyle(el).color), under)), light(under)].sort((p, q) => q - p);
    const ratio = (x + 0.05) / (y + 0.05);
    if (ratio < 4.5) found.push(`${t.data.trim().slice(0, 40)} in ${el.tagName}.${el.className}: ${ratio.toFixed(2)}`);
  }
  return found;
});
