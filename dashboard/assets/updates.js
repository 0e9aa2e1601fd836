// The line that says whether the page is live, the sums in the navigation, and the content.

import { live } from "./live.js";
import { refresher } from "./refresh.js";
import { store, stored } from "./storage.js";

const paused = "kyu.paused"; // its key in the storage of the browser

// sums are the fields of the state that stand beside the pages of the navigation.
const sums = {
  queues: "enqueued",
  busy: "busy",
  processes: "processes",
  retries: "retries",
  scheduled: "scheduled",
  dead: "dead",
};

export function updates(box) {
  const text = box.querySelector("[role=status]");
  const button = box.querySelector("button");
  const content = document.querySelector("#content[data-live]");
  const page = content && refresher(content, (fails) => note({ stale: fails }));
  const now = { paused: false, lost: false, trouble: false, stale: false };
  let stop = null; // ends the stream of this tab

  function note(change) {
    Object.assign(now, change);
    const state = ["paused", "lost", "trouble", "stale"].find((name) => now[name]) ?? "open";
    if (box.dataset.state === state) return;
    box.dataset.state = state;
    // A reader of the screen hears a change of the text, so it is not written again.
    if (text.textContent !== box.dataset[state]) text.textContent = box.dataset[state];
  }

  function run(on) {
    stop?.();
    stop = on ? live({ stream: box.dataset.stream, ticket: box.dataset.ticket }) : null;
    page?.run(on);
    button.setAttribute("aria-pressed", String(!on));
    note({ paused: !on, lost: false, trouble: false, stale: false });
  }

  document.addEventListener("kyu:state", ({ detail }) => {
    for (const place of document.querySelectorAll("[data-sum]")) {
      const n = detail[sums[place.dataset.sum]];
      if (n !== undefined) place.textContent = n.toLocaleString("en-US");
    }
    note({ trouble: false });
    page?.changed();
  });
  document.addEventListener("kyu:trouble", () => note({ trouble: true }));
  document.addEventListener("kyu:connection", ({ detail }) => note({ lost: !detail }));
  button.addEventListener("click", () => {
    store(paused, stop ? "yes" : "");
    run(!stop);
  });
  box.hidden = false;
  run(stored(paused) !== "yes");
}
