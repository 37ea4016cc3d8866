// Makes the status page live; without it the page is the same, and is refreshed by hand.
//
// The server sends {"id": "html"} for what has changed, or {"id": {"3": "html"}} for the fourth cell of a row. What is there is changed in place, node by
// node, so that focus, selection, scrolling and opened details stay as they are.

"use strict";

const live = () => document.getElementById("live");
const pause = () => document.getElementById("pause");

const AGAIN_FIRST = 1000; // milliseconds until the next try, doubled each time
const AGAIN_MOST = 30000;

let source = null;
let isPaused = false;
let again = AGAIN_FIRST;
let timer = 0;

function say(text) {
  const place = live();
  if (place && place.textContent !== text) place.textContent = text;
}

function showPause() {
  const button = pause();
  button.hidden = false;
  button.textContent = isPaused ? "Go on" : "Pause";
}

function become(old, wanted) {
  if (old.id === "live" || old.id === "pause") return; // ours
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const theirs = [...wanted.childNodes];
  const rows = new Map([...old.children].filter((each) => each.id).map((each) => [each.id, each]));
  theirs.forEach((node, index) => {
    let mine = old.childNodes[index];
    const known = node.id && rows.get(node.id);
    if (known && known !== mine) {
      old.insertBefore(known, mine || null);
      mine = known;
    }
    if (!mine) old.append(node.cloneNode(true));
    else if (mine.isEqualNode(node)) return;
    else if (node.nodeType === Node.ELEMENT_NODE && mine.nodeName === node.nodeName && mine.id === node.id) become(mine, node);
    else if (node.nodeType === Node.TEXT_NODE && mine.nodeType === Node.TEXT_NODE) mine.data = node.data;
    else if (node.id && !rows.has(node.id)) old.insertBefore(node.cloneNode(true), mine);
    else old.replaceChild(node.cloneNode(true), mine);
  });
  while (old.childNodes.length > theirs.length) old.lastChild.remove();
}

function put(place, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  become(place, template.content.firstElementChild);
}

function update(parts) {
  for (const [id, change] of Object.entries(parts)) {
    const place = document.getElementById(id);
    if (!place) continue;
    if (typeof change === "string") {
      put(place, change);
      continue;
    }
    const cells = place.querySelectorAll("th, td");
    for (const [index, html] of Object.entries(change)) put(cells[index], html);
  }
}

function connect() {
  source = new EventSource(location.origin + location.pathname + "/events");
  source.addEventListener("parts", (event) => {
    again = AGAIN_FIRST;
    update(JSON.parse(event.data));
    showPause();
    say("● Live");
  });
  source.onerror = () => {
    say("◌ Reconnecting …");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    timer = setTimeout(connect, again);
    again = Math.min(2 * again, AGAIN_MOST);
  };
}

function disconnect() {
  clearTimeout(timer);
  if (source) source.close();
  source = null;
}

addEventListener("click", (event) => {
  if (event.target.id !== "pause") return;
  isPaused = !isPaused;
  showPause();
  if (isPaused) {
    disconnect();
    say("‖ Paused");
  } else connect();
});

// A link into something that is folded up opens it.
addEventListener("hashchange", () => {
  const place = document.getElementById(location.hash.slice(1));
  const folded = place && place.querySelector(":scope > details");
  if (folded) folded.open = true;
});

// A page that nobody sees costs the server nothing.
document.addEventListener("visibilitychange", () => {
  if (isPaused) return;
  disconnect();
  if (!document.hidden) connect();
});

say("◌ Connecting …");
connect();
