// The conversation as it is seen: bubbles in the order of their ids, grouped, with days between.

import { element, link, markdown, plain } from "./markdown.js";

const MOST = 500; // older bubbles leave the page
const GROUPED = 300; // seconds within which one bubble follows another
const CLOCK = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function dayOf(seconds) {
  const date = new Date(seconds * 1_000);
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  const ago = Math.round((midnight(Date.now()) - midnight(date)) / 86_400_000);
  if (ago > 1) return DAY.format(date);
  const near = RELATIVE.format(-ago, "day");
  return near[0].toUpperCase() + near.slice(1);
}

export class View {
  #log; #title; #press; #draft; #byId = new Map(); #byKey = new Map();
  arriving = ""; // the class of what is new, once history is there

  /** `press(button, message)` is called for a pressed button. */
  constructor(log, title, press) {
    this.#log = log;
    this.#title = title;
    this.#press = press;
  }

  get empty() {
    return !this.#log.firstElementChild;
  }

  /** Show what the bot is writing, until its message takes that place. Not read aloud: it changes too often. */
  draft(text) {
    if (!this.#draft) {
      this.#draft = element("div", { className: `message out draft ${this.arriving}` });
      this.#draft.ariaHidden = "true";
    }
    this.#draft.data = { id: null, direction: "out", text, at: Date.now() / 1_000 };
    this.#draft.replaceChildren(
      element("div", { className: "bubble" }, ...markdown(text)),
      element("div", { className: "meta" }, "Writing…"),
    );
    this.#place(this.#draft);
  }

  /** Forget it; says whether there was one. */
  endDraft() {
    if (!this.#draft) return false;
    this.#forget(this.#draft);
    this.#draft = undefined;
    return true;
  }

  /** Show a message, or what became of one that is shown already. */
  show(data) {
    const written = data.direction === "out" && this.endDraft();
    let node = this.#byId.get(data.id) ?? this.#byKey.get(data.key);
    if (node?.data.id && !data.id) return; // accepted before, though the page did not hear of it
    if (!node) {
      node = element("div", { className: `message ${data.direction} ${written ? "" : this.arriving}` });
      if (data.key) this.#byKey.set(data.key, node);
    }
    node.data = data;
    if (data.id) this.#byId.set(data.id, node);
    this.#fill(node);
    this.#place(node);
    if (data.button && data.target) this.#mark(data.target, data.button);
    while (this.#log.childElementCount > MOST) this.#forget(this.#log.firstElementChild);
  }

  /** Say of an own message what became of it: pending, sent, refused. */
  settle(key, { id, why, again }) {
    const node = this.#byKey.get(key);
    if (!node || node.data.id) return;
    if (id) this.show({ ...node.data, id });
    else {
      node.classList.replace("pending", "refused");
      const retry = element("button", { type: "button", onclick: () => { this.#forget(node); again(); } }, "Try again");
      node.querySelector(".meta").replaceChildren(element("span", { className: "why" }, `Not sent. ${why}`), retry);
    }
  }

  edit({ target, text, buttons, plain: literal }) {
    const node = this.#byId.get(target);
    if (!node) return;
    node.data = { ...node.data, text, buttons, plain: literal, edited: true };
    this.#fill(node);
  }

  remove({ target }) {
    const node = this.#byId.get(target);
    if (node) this.#forget(node);
  }

  #forget(node) {
    const next = node.nextElementSibling;
    this.#byId.delete(node.data.id);
    this.#byKey.delete(node.data.key);
    node.remove();
    if (next) this.#join(next);
  }

  #fill(node) {
    const { direction, text, at, id, edited, plain: literal, attachments = [] } = node.data;
    const mine = direction === "in";
    const date = new Date(at * 1_000);
    node.classList.toggle("pending", !id);
    const bubble = element("div", { className: "bubble" },
      element("span", { className: "visually-hidden" }, mine ? "You said: " : `${this.#title} said: `),
      ...(literal ? plain(text) : markdown(text)));
    for (const file of attachments) {
      bubble.append(element("p", {}, link(file.url, file.caption || file.name || file.url || file.kind)));
    }
    const meta = element("div", { className: `meta ${id ? "" : "telling"}` },
      ...(edited ? [element("span", {}, "edited")] : []),
      id ? element("time", { dateTime: date.toISOString(), title: date.toLocaleString() }, CLOCK.format(date)) : "Sending…");
    node.replaceChildren(bubble, ...this.#buttons(node), meta);
  }

  #buttons(node) {
    const { buttons, id } = node.data;
    if (!buttons?.length) return [];
    const chip = (button) => (button.url
      ? Object.assign(link(button.url, button.label), { className: "chip" })
      : element("button", { type: "button", className: "chip", value: button.value, onclick: () => this.#press(button, id) }, button.label));
    const rows = buttons.map((row) => element("div", { className: "chips" }, ...row.map(chip)));
    const group = element("div", { className: "rows" }, ...rows);
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Answers");
    return [group];
  }

  /** A pressed button stays marked, and its neighbours can no longer be pressed. */
  #mark(target, value) {
    for (const chip of this.#byId.get(target)?.querySelectorAll("button.chip") ?? []) {
      chip.disabled = true;
      chip.ariaPressed = String(chip.value === value);
    }
  }

  /** Messages stand by id; those without one yet stand last. */
  #place(node) {
    const order = (other) => other.data.id || Infinity;
    let before = this.#log.lastElementChild;
    while (before && (before === node || order(before) > order(node))) before = before.previousElementSibling;
    const next = before ? before.nextElementSibling : this.#log.firstElementChild;
    if (next !== node && (node.nextElementSibling !== next || !node.parentNode)) {
      const old = node.nextElementSibling;
      this.#log.insertBefore(node, next);
      if (old) this.#join(old);
    }
    this.#join(node);
    if (node.nextElementSibling) this.#join(node.nextElementSibling);
  }

  #join(node) {
    const before = node.previousElementSibling?.data;
    const day = dayOf(node.data.at);
    if (before && dayOf(before.at) === day) delete node.dataset.day;
    else node.dataset.day = day;
    const follows = before && before.direction === node.data.direction && node.data.at - before.at < GROUPED && !before.buttons?.length;
    node.classList.toggle("joined", Boolean(follows) && !node.dataset.day);
  }
}
