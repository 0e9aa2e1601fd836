// The content of a live page, as the server makes it: it is asked for when the stream says that
// something has changed, and else every ten seconds, because it shows ages. What has changed is
// changed in place (Idiomorph), so focus, scroll and half-filled forms stay.

const rarely = 10_000; // milliseconds
const often = 1000;

// refresher returns run(on) and changed(). failed is told after each try whether it failed.
export function refresher(content, failed) {
  let timer = 0;
  let news = false; // something has changed since the last try
  let last = performance.now(); // the end of the last try
  let rest = often; // until the next: a slow page is asked for less often
  let pressed = false; // a button of the mouse, or a finger, is down

  addEventListener("pointerdown", () => (pressed = true), true);
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => (pressed = false), true);
  }

  // held says that a change would come between a person and what the person does now.
  function held() {
    const selected = getSelection();
    return (
      pressed ||
      (!selected.isCollapsed && content.contains(selected.anchorNode)) ||
      content.querySelector("form[method=post]:is(:hover, :focus-within)") !== null
    );
  }

  async function turn() {
    const waited = performance.now() - last;
    if (!document.hidden && !held() && waited >= (news ? rest : rarely)) {
      news = false;
      const began = performance.now();
      try {
        const fresh = await read();
        if (timer && !held()) morph(content, fresh);
        else news = true;
        failed(false);
      } catch {
        news = true;
        failed(true);
      }
      last = performance.now();
      rest = Math.min(rarely, Math.max(often, 10 * (last - began)));
    }
    if (timer) timer = setTimeout(turn, often / 4);
  }

  return {
    run(on) {
      clearTimeout(timer);
      timer = on ? setTimeout(turn, often / 4) : 0;
    },
    changed() {
      news = true;
    },
  };
}

// read asks for the content. XMLHttpRequest parses it: so no text becomes a document in a script,
// which Trusted Types forbid.
function read() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.setRequestHeader("Kyu-Content", "only");
    request.responseType = "document";
    request.timeout = 20_000;
    request.onload = () => {
      const fresh = request.status === 200 && request.response?.getElementById("content");
      if (fresh) resolve(fresh);
      else reject(new Error(`the page answered ${request.status}`));
    };
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

function morph(content, fresh) {
  const focused = document.activeElement;
  globalThis.Idiomorph.morph(content, fresh, {
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (old) => !filled(old),
      // A person opens and closes details.
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details")),
    },
  });
  if (focused === document.activeElement || focused === document.body) return;
  if (!focused.isConnected) content.tabIndex = -1; // what had the focus is no more
  (focused.isConnected ? focused : content).focus({ preventScroll: true });
}

// filled says that a person has changed a field since the page was loaded.
function filled(node) {
  if (node.nodeName === "SELECT") {
    return [...node.options].some((o) => o.selected !== o.defaultSelected);
  }
  if (node.nodeName !== "INPUT" && node.nodeName !== "TEXTAREA") return false;
  return node.value !== node.defaultValue || node.checked !== node.defaultChecked;
}
