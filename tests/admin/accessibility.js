// What can be found out about a page by itself, in the terms of WCAG 2.2: returns sentences, one for
// each thing that is wrong. Contrast is computed from computed styles, so for the scheme that is on.

const wrong = [];
const shown = (each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true });
const name = (each) => {
  const text = (each.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
  return `<${each.tagName.toLowerCase()}${each.id ? "#" + each.id : ""}> "${text}"`;
};

// 1.3.1, 2.4.6: headings go down one step at a time, and there is one first.
let level = 0;
for (const each of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const mine = Number(each.tagName[1]);
  if (mine > level + 1) wrong.push(`${name(each)} follows a heading of level ${level}`);
  if (!each.textContent.trim()) wrong.push(`${name(each)} is empty`);
  level = mine;
}
if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");

// 1.3.1, 2.4.1: landmarks, the language, the title.
if (document.querySelectorAll("main").length !== 1) wrong.push("there is not one main");
for (const each of document.querySelectorAll("nav, section, [role=region]"))
  if (!label(each)) wrong.push(`${name(each)} has no label`);
for (const each of document.body.children)
  if (!each.matches("header, nav, main, footer, form, .skip")) wrong.push(`${name(each)} is in no landmark`);
if (!document.documentElement.lang) wrong.push("no language");
if (!document.title) wrong.push("no title");

// 4.1.1: ids are there once, and what refers to one finds it.
const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`the id ${id} is there twice`);
for (const each of document.querySelectorAll("[aria-labelledby]"))
  if (!document.getElementById(each.getAttribute("aria-labelledby"))) wrong.push(`${name(each)} is labelled by nothing`);

// 4.1.2, 2.4.4: whatever can be used has a name.
function label(each) {
  const by = each.getAttribute("aria-labelledby");
  return (each.getAttribute("aria-label") || (by && document.getElementById(by)?.textContent) || "").trim();
}
for (const each of document.querySelectorAll("a[href], button, summary, input:not([type=hidden])"))
  if (!label(each) && !each.textContent.trim() && !each.labels?.length) wrong.push(`${name(each)} has no name`);
for (const each of document.querySelectorAll("svg"))
  if (each.getAttribute("aria-hidden") !== "true" && !(each.getAttribute("role") === "img" && label(each)))
    wrong.push(`an svg in ${name(each.parentElement)} has no text`);

// 1.3.1: tables say what they are about, and which cells are headers.
for (const table of document.querySelectorAll("table")) {
  if (!table.caption?.textContent.trim()) wrong.push("a table has no caption");
  for (const each of table.querySelectorAll("th"))
    if (!each.scope) wrong.push(`${name(each)} has no scope`);
  for (const row of table.querySelectorAll("tbody tr"))
    if (!row.querySelector("th")) wrong.push(`${name(row)} has no header`);
}

// 2.1.1: what scrolls can be scrolled with keys.
for (const each of document.querySelectorAll("*"))
  if (shown(each) && /(auto|scroll)/.test(getComputedStyle(each).overflowX) && each.scrollWidth > each.clientWidth + 1)
    if (each.tabIndex < 0 && !each.querySelector("a, button")) wrong.push(`${name(each)} scrolls, but has no focus`);

// 1.4.10: no scrolling in two directions.
if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is wider than the screen");

// 2.5.8: targets of 24 by 24 pixels, but for links within text.
for (const each of document.querySelectorAll("button, summary, .button, nav a")) {
  if (!shown(each)) continue;
  const { width, height } = each.getBoundingClientRect();
  if (width < 24 || height < 24) wrong.push(`${name(each)} is only ${Math.round(width)} by ${Math.round(height)} pixels`);
}

// 1.4.3, 1.4.11: contrast of text and of lines.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
const over = ([r, g, b, a], under) => [r, g, b].map((each, i) => each * a + under[i] * (1 - a));
function behind(each) {
  if (!each) return [255, 255, 255];
  const own = rgba(getComputedStyle(each).backgroundColor);
  return own[3] === 1 ? own.slice(0, 3) : over(own, behind(each.parentElement));
}
function luminance(rgb) {
  const [r, g, b] = rgb.map((each) => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let texts = 0;
while (walker.nextNode()) {
  const each = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !shown(each)) continue;
  texts += 1;
  const style = getComputedStyle(each);
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const back = behind(each);
  const found = ratio(over(rgba(style.color), back), back);
  if (found < least) wrong.push(`${name(each)} has a contrast of ${found.toFixed(2)}, not ${least}`);
}
if (!texts) wrong.push("there is no text");
for (const each of document.querySelectorAll("path.line, .key path")) {
  const found = ratio(rgba(getComputedStyle(each).stroke).slice(0, 3), behind(each.closest("figure")));
  if (found < 3) wrong.push(`a line of ${name(each.closest("figure"))} has a contrast of ${found.toFixed(2)}, not 3`);
}

return [...new Set(wrong)];
