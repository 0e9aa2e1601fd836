// The live state of the fleet, over one stream per browser, whatever the number of its tabs.
//
//   import { live } from "./live.js";
//   live({ stream: "https://stream.example.com/live", ticket: "/kyu/ticket" });
//   document.addEventListener("kyu:state", (event) => draw(event.detail));
//
// stream is the address of the stream. ticket is an address of the pages that returns a ticket as
// text; without one the stream is opened with the cookies of its own origin. target (default:
// document) is sent these events:
//
//   kyu:state       detail: the newest state, parsed from JSON
//   kyu:trouble     detail: text; there is no newer state until the next kyu:state
//   kyu:connection  detail: true when the stream is open, false when it is lost
//
// The tab that holds a Web Lock is the leader: it has the stream, and passes events on in a
// BroadcastChannel. When it ends, the browser gives the lock to the next tab. A browser without
// these interfaces, or with a page that is not secure, has one stream per tab.
//
// live returns a function that ends all of it for this tab.

const longest = 60_000; // milliseconds between two attempts

export function live({ stream, ticket, target = document }) {
  const name = "kyu:live " + new URL(stream, location.href);
  const shared = Boolean(globalThis.navigator?.locks && globalThis.BroadcastChannel);
  const channel = shared ? new BroadcastChannel(name) : null;
  const ending = new AbortController();
  let leads = !shared;
  let source = null;
  let timer = 0;
  let failures = 0;
  let latest = null; // the newest state or trouble, as it is on the channel
  let connected = false;

  function dispatch(type, detail) {
    target.dispatchEvent(new CustomEvent("kyu:" + type, { detail }));
  }

  // take shows a message of the stream or of the channel, and passes on one of the stream.
  function take(message) {
    if (leads) channel?.postMessage(message);
    if (message.type === "connection") {
      connected = message.data;
      dispatch("connection", message.data);
      return;
    }
    latest = message;
    dispatch(message.type, message.type === "state" ? JSON.parse(message.data) : message.data);
  }

  async function address() {
    const url = new URL(stream, location.href);
    if (latest?.id) url.searchParams.set("last-event-id", latest.id);
    if (ticket) {
      // A redirect leads to the sign-in page, which is not a ticket.
      const answer = await fetch(ticket, { cache: "no-store", redirect: "error" });
      if (!answer.ok) throw new Error("no ticket: " + answer.status);
      url.searchParams.set("ticket", await answer.text());
    }
    return url;
  }

  async function open() {
    let url;
    try {
      url = await address();
    } catch {
      lost();
      return;
    }
    if (ending.signal.aborted) return;
    const mine = (source = new EventSource(url));
    const on = (type, handle) =>
      mine.addEventListener(type, (event) => source === mine && handle(event));
    on("open", () => {
      failures = 0;
      take({ type: "connection", data: true });
    });
    on("state", (e) => take({ type: "state", id: e.lastEventId, data: e.data }));
    on("trouble", (e) => take({ type: "trouble", id: "", data: e.data }));
    on("bye", (e) => again(Number(e.data) || backoff()));
    // The browser itself tries again only after some errors, and with the ticket of before.
    on("error", lost);
  }

  function again(wait) {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = setTimeout(open, wait);
  }

  function lost() {
    if (ending.signal.aborted) return;
    if (connected) take({ type: "connection", data: false });
    again(backoff());
  }

  // backoff doubles from 2 s to 60 s, less a random part of up to half.
  function backoff() {
    const most = Math.min(longest, 2000 * 2 ** failures++);
    return most / 2 + (Math.random() * most) / 2;
  }

  function follow({ data: message }) {
    if (ending.signal.aborted) return;
    if (message.type !== "ask") {
      if (!leads) take(message);
    } else if (leads) {
      channel.postMessage({ type: "connection", data: connected });
      if (latest) channel.postMessage(latest);
    }
  }

  function lead() {
    leads = true;
    open();
    return new Promise((resolve) => ending.signal.addEventListener("abort", resolve));
  }

  if (shared) {
    channel.addEventListener("message", follow);
    channel.postMessage({ type: "ask" });
    // The request fails only when it is ended before this tab leads.
    navigator.locks.request(name, { signal: ending.signal }, lead).catch(() => {});
  } else {
    open();
  }

  return () => {
    ending.abort();
    clearTimeout(timer);
    source?.close();
    channel?.close();
  };
}
