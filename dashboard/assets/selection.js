// The boxes of a list of jobs: all of the page at once, how many are ticked, and, with Shift, all
// from the box that was ticked before.

export function selection() {
  for (const all of document.querySelectorAll("label[data-all]")) {
    const form = all.closest("form");
    const boxes = [...form.querySelectorAll("input[name=jid][type=checkbox]")];
    if (boxes.length > 0) choose(form, all, boxes);
  }
}

function choose(form, all, boxes) {
  const master = all.querySelector("input");
  const count = form.querySelector("output");
  let before = null; // the box that was clicked last

  function show() {
    const ticked = boxes.filter((box) => box.checked).length;
    master.checked = ticked === boxes.length;
    master.indeterminate = ticked > 0 && ticked < boxes.length;
    count.textContent = `${ticked} / ${boxes.length}`;
  }

  master.addEventListener("change", () => {
    for (const box of boxes) box.checked = master.checked;
    show();
  });
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && before) {
        const ends = [boxes.indexOf(before), boxes.indexOf(box)].sort((a, b) => a - b);
        for (const other of boxes.slice(ends[0], ends[1] + 1)) other.checked = box.checked;
      }
      before = box;
      show();
    });
  }
  // The browser restores ticks when a person comes back to the page, after this script has run.
  addEventListener("pageshow", show);
  all.hidden = count.hidden = false;
  show();
}
