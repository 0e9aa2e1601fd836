// Letters and signs as keys. They do not count in a field, with Ctrl, Alt or Meta, or while a
// person composes Japanese. A person can turn them off in the help.

import { store, stored } from "./storage.js";

const off = "kyu.keys.off"; // its key in the storage of the browser
const patience = 1500; // milliseconds from the g to the letter of a page

export function keyboard() {
  const help = document.getElementById("keys");
  const open = document.getElementById("keys-open");
  const on = document.getElementById("keys-on");
  if (!help || !open || !on) return;
  on.checked = stored(off) !== "yes";
  on.addEventListener("change", () => store(off, on.checked ? "" : "yes"));
  open.hidden = false;
  open.addEventListener("click", () => help.showModal());

  const acts = {
    "/": () => document.getElementById("filter")?.focus(),
    "?": () => help.showModal(),
    j: () => step(1),
    k: () => step(-1),
    x: () => row()?.querySelector("input[type=checkbox]")?.click(),
  };
  let g = 0; // when g was pressed

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (!on.checked || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (help.open || event.defaultPrevented || writes(target)) return;
    if (key === "Shift") return;
    const page = performance.now() - g < patience && link(key);
    g = key === "g" ? performance.now() : 0;
    if (page) page.click();
    else if (acts[key]) acts[key]();
    else return;
    event.preventDefault();
  });
}

function link(key) {
  return [...document.querySelectorAll("header a[data-key]")].find((a) => a.dataset.key === key);
}

// writes says that a key is text for the element.
function writes(element) {
  return (
    element.isContentEditable ||
    (element.matches("input, textarea, select") && element.type !== "checkbox")
  );
}

// row is the row of the table that has the focus.
function row() {
  return document.activeElement?.closest("#content tbody tr");
}

// step moves the focus by rows, to the link or the field of a row.
function step(by) {
  const stops = [...document.querySelectorAll("#content tbody tr")]
    .map((r) => r.querySelector("th a, a") ?? r.querySelector("input, button"))
    .filter(Boolean);
  const here = stops.findIndex((stop) => stop.closest("tr") === row());
  const next = here < 0 ? (by > 0 ? 0 : stops.length - 1) : here + by;
  stops[next]?.focus();
  stops[next]?.scrollIntoView({ block: "nearest" });
}
