// The chat page: what is typed goes to the outbox, what is said comes from the feed, both end in the view.

import { Feed } from "./feed.js";
import { Outbox } from "./outbox.js";
import { View } from "./view.js";

const find = (id) => document.getElementById(id);
const [scroll, log, welcome, typing, newer, notice, composer, text, send, state] =
  ["scroll", "log", "welcome", "typing", "newer", "notice", "composer", "text", "send", "state"].map(find);
const { bot, title } = document.body.dataset;
const base = location.pathname.replace(/\/$/, "");

let live = false; // false while history comes in
let pinned = true; // whether the end is in sight, and is to stay so
let unread = 0;
const timers = {};

function later(name, milliseconds, action) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(action, milliseconds);
}

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  pinned = true;
  newer.hidden = true;
}

/** Change what is in the log, and stay at its end if that was in sight. */
function keepingPlace(change, { follow = !live } = {}) {
  change();
  welcome.hidden = !live || !view.empty;
  if (follow || pinned) toEnd();
}

function say(body) {
  const item = { at: Date.now(), body: { id: uuid(), ...body } };
  keepingPlace(() => pending(item), { follow: true });
  outbox.add(item);
}

/** `crypto.randomUUID` is missing where the page comes over plain HTTP, as in a local network. */
function uuid() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function pending({ at, body }) {
  view.show({
    id: null, key: body.id, direction: "in", text: body.text, at: at / 1_000, plain: true, button: body.button, target: body.message,
  });
}

function stopTyping() {
  clearTimeout(timers.typing);
  typing.hidden = true;
}

function endDraft() {
  clearTimeout(timers.draft);
  keepingPlace(() => view.endDraft());
}

function count(data) {
  if (!live || data.direction !== "out") return;
  if (!pinned) newer.hidden = false;
  if (document.hidden) document.title = `(${unread += 1}) ${title}`;
}

const handlers = {
  message(data) {
    if (data.direction === "out") stopTyping();
    if (data.direction === "out") clearTimeout(timers.draft);
    keepingPlace(() => view.show(data));
    count(data);
  },
  draft(data) {
    stopTyping();
    keepingPlace(() => view.draft(data.text));
    later("draft", 30_000, endDraft);
  },
  edit(data) {
    stopTyping();
    keepingPlace(() => view.edit(data));
  },
  delete(data) {
    keepingPlace(() => view.remove(data));
  },
  typing() {
    later("typing", 300, () => {
      keepingPlace(() => { typing.hidden = false; });
      later("typing", 8_000, stopTyping);
    });
  },
  notice(data) {
    notice.textContent = data.text;
    notice.hidden = false;
    later("notice", 5_000, () => { notice.hidden = true; });
  },
  ready() {
    if (live) return;
    keepingPlace(() => outbox.waiting.forEach(pending));
    live = true;
    view.arriving = "fresh";
    log.ariaBusy = "false";
    keepingPlace(() => {}, { follow: true });
  },
};

function connected(yes) {
  const show = () => {
    state.textContent = yes ? "Online" : "Reconnecting…";
    state.className = `state ${yes ? "online" : "away"}`;
  };
  if (yes) {
    clearTimeout(timers.state);
    show();
    outbox.wake();
  } else if (state.className !== "state away") {
    endDraft(); // what was written meanwhile comes whole
    later("state", 1_500, show); // a restart takes less; no need to worry anybody
  }
}

const view = new View(log, title, (button, message) => say({ button: button.value, text: button.label, message }));
const outbox = new Outbox(`${base}/messages`, bot, {
  accepted: (item, id) => keepingPlace(() => view.settle(item.body.id, { id })),
  refused: (item, why) => keepingPlace(() => view.settle(item.body.id, { why, again: () => say({ ...item.body, id: uuid() }) })),
});
const feed = new Feed(`${base}/events`, { connected, handle: (type, data) => handlers[type]?.(data) });

function fit() {
  send.disabled = !text.value.trim();
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  say({ text: text.value.trimEnd() });
  text.value = "";
  fit();
  text.focus();
});
text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});
welcome.addEventListener("click", ({ target }) => {
  if (!target.matches(".chip")) return;
  say({ text: target.textContent });
  text.focus();
});
newer.addEventListener("click", toEnd);
scroll.addEventListener("scroll", () => {
  pinned = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  if (pinned) newer.hidden = true;
}, { passive: true });
new ResizeObserver(() => { if (pinned) toEnd(); }).observe(scroll); // a keyboard opens, the field grows
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = title;
});
// Where the keyboard covers the page instead of shrinking it, the page shrinks itself.
visualViewport?.addEventListener("resize", () => {
  document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
});

fit();
if (matchMedia("(pointer: fine)").matches) text.focus();
feed.run();
