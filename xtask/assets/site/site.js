// What works on every page: "/" goes to the search, filters narrow their table, a button copies its rule.
"use strict";

document.addEventListener("keydown", (event) => {
  const box = document.querySelector("#q") ?? document.querySelector("header input[type=search]");
  const isWriting = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  if (event.key === "/" && !isWriting && !event.ctrlKey && !event.metaKey && !event.altKey && box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

for (const box of document.querySelectorAll("input[data-filter]")) {
  const rows = [...document.getElementById(box.dataset.filter).querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
    });
  };
  box.addEventListener("input", filter);
  filter();
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without leave to write to the clipboard the text is marked, ready to be copied by hand.
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = "Marked: copy it";
    }
  });
}
