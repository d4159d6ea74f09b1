// Elements of the page. Text is only ever set as text: no part of the page
// parses HTML, so what a model or a tool writes cannot become markup.

// h makes an element. Props are attributes; those that begin with "on" are
// listeners, and false, null or undefined leaves one out. There is no style: the
// page's policy forbids it, and style.css has it.
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? '' : value);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

// svg makes an element of a drawing.
export function svg(tag, props, ...children) {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(props || {})) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

export const byId = (id) => document.getElementById(id);

// put makes children all that is in el.
export function put(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

// button is one that does something and submits nothing.
export function button(label, onclick, props) {
  return h('button', { type: 'button', onclick, ...props }, label);
}

// A link leads away only by http or https, and tells the other side nothing of
// this page. Of any other address its text remains.
export function link(href, ...children) {
  const to = webAddress(href);
  if (!to) return h('span', { class: 'dead', title: href.slice(0, 500) }, ...children);
  return h('a', { href: to, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children);
}

// webAddress is the address if it is one of the web, else "".
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : '';
  } catch {
    return '';
  }
}

// copyButton copies what text() gives.
export function copyButton(text) {
  const b = button('Copy', async () => {
    let said = 'Copied';
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      said = 'Cannot copy';
    }
    b.textContent = said;
    setTimeout(() => { b.textContent = 'Copy'; }, 1500);
  }, { class: 'copy' });
  return b;
}

// perFrame returns a function that has draw called once in the next frame,
// however often it is called. What is slow to draw is drawn less often.
export function perFrame(draw) {
  let asked = false;
  let cost = 0;
  const run = () => {
    asked = false;
    const began = performance.now();
    draw();
    cost = performance.now() - began;
  };
  return () => {
    if (asked) return;
    asked = true;
    if (cost > 12) setTimeout(() => requestAnimationFrame(run), Math.min(cost * 4, 1000));
    else requestAnimationFrame(run);
  };
}
