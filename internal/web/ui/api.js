// The server's interface: docs/serve.md says what there is.

// A Refusal is an answer of the server that is no success.
export class Refusal extends Error {
  constructor(status, error) {
    super(error.message || `the server said ${status}`);
    this.status = status;
    this.code = error.code || '';
    this.hint = error.hint || '';
  }

  // words are what a person is told.
  get words() { return this.hint ? `${this.message}\n${this.hint}` : this.message; }
}

// words of any failure of a request.
export const wordsOf = (err) => (err instanceof Refusal ? err.words : 'The server does not answer. It may have ended: start it again with `ml-intern serve`.');

// The cookie goes to whatever listens on this machine, on any port. So the server
// wants this word besides, which only pages of its own port can read.
const kept = 'ml-intern.page';
let word = '';

function keepWord(text) {
  word = text;
  try {
    if (text) localStorage.setItem(kept, text);
    else localStorage.removeItem(kept);
  } catch {
    // a browser that keeps nothing: it counts until the page is left
  }
}

// known are the headers of a request by which the server knows this page.
export function known() {
  try {
    word = localStorage.getItem(kept) || word; // another tab may have signed in anew
  } catch {
    // as above
  }
  return word ? { 'X-Ml-Intern-Page': word } : {};
}

let signedOut = () => {};

// onSignedOut sets what is done when the server does not know this page.
export function onSignedOut(then) { signedOut = then; }

async function ask(method, path, body) {
  const headers = known();
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  const answer = await fetch(`/api/${path}`, {
    method, headers, body: method === 'GET' || method === 'DELETE' ? undefined : JSON.stringify(body ?? {}), cache: 'no-store', credentials: 'same-origin',
  });
  const text = await answer.text();
  let read = null;
  try {
    read = text ? JSON.parse(text) : null;
  } catch {
    read = null;
  }
  if (answer.ok) return { status: answer.status, ...(Array.isArray(read) ? { list: read } : read) };
  const refusal = new Refusal(answer.status, read?.error || {});
  if (answer.status === 401 && path !== 'login') signedOut();
  throw refusal;
}

// file is what the server sends to be saved, with its name.
async function file(path) {
  const answer = await fetch(`/api/${path}`, { headers: known(), cache: 'no-store', credentials: 'same-origin' });
  if (!answer.ok) {
    if (answer.status === 401) signedOut();
    throw new Refusal(answer.status, (await answer.json().catch(() => null))?.error || {});
  }
  return { data: await answer.blob(), name: /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition') || '')?.[1] || 'session' };
}

const of = (id, rest) => `sessions/${encodeURIComponent(id)}${rest || ''}`;

export const api = {
  login: (key) => ask('POST', 'login', { key }).then((got) => keepWord(got.page)),
  logout: () => ask('POST', 'logout').then((got) => { keepWord(''); return got; }),
  server: () => ask('GET', 'server'),
  sessions: (q, cursor, limit) => ask('GET', `sessions?${new URLSearchParams({ ...(q && { q }), ...(cursor && { cursor }), limit })}`),
  begin: (what) => ask('POST', 'sessions', what),
  session: (id) => ask('GET', of(id)),
  say: (id, text, steer) => ask('POST', of(id, '/prompts'), steer ? { text, steer } : { text }),
  stop: (id) => ask('POST', of(id, '/stop')),
  goOn: (id) => ask('POST', of(id, '/continue')),
  unqueue: (id) => ask('POST', of(id, '/unqueue')),
  answer: (id, what) => ask('POST', of(id, '/answers'), what),
  preview: (id, what) => ask('POST', of(id, '/answers/preview'), what),
  change: (id, what) => ask('PATCH', of(id), what),
  fork: (id, at) => ask('POST', of(id, '/fork'), at ? { at } : {}),
  remove: (id) => ask('DELETE', of(id)),
  jobs: (id) => ask('GET', of(id, '/jobs')),
  agent: (id, call, after) => ask('GET', of(id, `/agents/${encodeURIComponent(call)}/events?after=${after}`)),
  exported: (id, format) => file(`${of(id, '/export')}?format=${format}`),
  eventsOf: (id, after) => `/api/${of(id, '/events')}?after=${after}`,
};
