// Looks through the index that search-index.js has put into globalThis.CATALOGUE. What is found is put in as text,
// never as markup: names and descriptions are what strangers wrote.
"use strict";

const SHOWN_MAX = 60;
const box = document.querySelector("#q");
const results = document.querySelector("#results");
const found = document.querySelector("#found");
const classes = [...document.querySelectorAll("input[name=class]")];

const entries = globalThis.CATALOGUE.map(([kind, name, home, place, className, severity, text]) => ({
  kind, name, home, place, className, severity, text,
  nameText: name.toLowerCase(),
  all: `${name} ${home} ${text}`.toLowerCase(),
}));

// More for the whole name than for its beginning, for that than for a part of it, and least for the text. Nothing
// where a word is missing, unless `some` will do.
function weight(entry, words, some) {
  let sum = 0;
  for (const word of words) {
    if (entry.nameText === word) sum += 12;
    else if (entry.nameText.startsWith(word)) sum += 8;
    else if (entry.nameText.includes(word)) sum += 5;
    else if (entry.home.toLowerCase().includes(word)) sum += 4;
    else if (entry.all.includes(word)) sum += 1;
    else if (!some) return 0;
  }
  if (sum === 0 && words.length > 0) return 0;
  const severities = { Critical: 0.4, High: 0.3, Medium: 0.2, Low: 0.1 };
  return sum + (severities[entry.severity] ?? 2);
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function shown(entry) {
  const title = element("a", { href: entry.place }, element("code", {}, entry.name));
  const line = [title];
  if (entry.kind === "tool") {
    line.push(" of ", entry.home, " ");
    line.push(element("span", { className: `chip class-${entry.className.toLowerCase()}` }, entry.className), " ");
    line.push(element("span", { className: `chip severity-${entry.severity.toLowerCase()}` }, entry.severity));
  } else {
    line.push(` ${entry.kind} `);
  }
  return element("li", {}, ...line, element("p", {}, entry.text));
}

function ranked(chosen, words, some) {
  return chosen
    .map((entry) => ({ entry, weight: weight(entry, words, some) }))
    .filter((hit) => hit.weight > 0)
    .sort((a, b) => b.weight - a.weight || (a.entry.name < b.entry.name ? -1 : 1));
}

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = classes.filter((choice) => choice.checked).map((choice) => choice.value);
  results.replaceChildren();
  if (words.length === 0 && only.length === 0) {
    found.textContent = `${entries.length} entries. Words have to be in the name, the server's name or the text; all of them.`;
    return;
  }
  const chosen = entries.filter((entry) => only.length === 0 || only.includes(entry.className));
  let hits = ranked(chosen, words, false);
  let said = `${hits.length} found`;
  if (hits.length === 0 && words.length > 1) {
    hits = ranked(chosen, words, true);
    said = `Nothing has all of these words; ${hits.length} have some`;
  }
  found.textContent = hits.length > SHOWN_MAX ? `${said}, the first ${SHOWN_MAX} shown` : said;
  results.append(...hits.slice(0, SHOWN_MAX).map((hit) => shown(hit.entry)));
}

function remember() {
  const address = new URL(location.href);
  address.searchParams.set("q", box.value);
  // A page from a disk may not change its address in every browser; the search works without.
  try {
    history.replaceState(null, "", address);
  } catch {
    // As above.
  }
}

box.value = new URLSearchParams(location.search).get("q") ?? "";
box.addEventListener("input", () => { search(); remember(); });
for (const choice of classes) choice.addEventListener("change", search);
document.querySelector("#search").addEventListener("submit", (event) => event.preventDefault());
search();
