// What was typed and not yet accepted. It survives being offline and a reload, and goes out in order. Each message
// carries its own id, so that sending it again never says it twice.

import { Pause, backoff } from "./feed.js";

const DEADLINE = 15_000;

export class Outbox {
  #url; #prefix; #accepted; #refused; #queue; #running = false; #pause = new Pause();

  /** `accepted(item, id)` once the server keeps an item, `refused(item, why)` when it never will. */
  constructor(url, name, { accepted, refused }) {
    this.#url = url;
    this.#prefix = `botstead.${name}.`;
    this.#accepted = accepted;
    this.#refused = refused;
    this.#queue = this.#stored();
    addEventListener("online", () => this.wake());
  }

  get waiting() {
    return [...this.#queue];
  }

  add(item) {
    this.#queue.push(item);
    this.#keep(item);
    this.#send();
  }

  /** Try now: there is a connection again. */
  wake() {
    this.#pause.wake();
    this.#send();
  }

  async #send() {
    if (this.#running) return;
    this.#running = true;
    for (let failures = 0; this.#queue.length; ) {
      const wait = await this.#attempt(this.#queue[0], failures);
      failures = wait ? failures + 1 : 0;
      if (wait) await this.#pause.wait(wait);
    }
    this.#running = false;
  }

  /** One try; returns the milliseconds to wait before the next one, or 0 when the item is done with. */
  async #attempt(item, failures) {
    let response;
    try {
      response = await fetch(this.#url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(item.body),
        signal: AbortSignal.timeout(DEADLINE),
      });
      if (response.status === 429 || response.status >= 500) {
        return Number(response.headers.get("Retry-After")) * 1_000 || backoff(failures);
      }
      const answer = await response.json().catch(() => ({}));
      this.#drop(item);
      if (response.ok) this.#accepted(item, answer.id);
      else this.#refused(item, answer.detail ?? `The server said ${response.status}.`);
      return 0;
    } catch {
      return backoff(failures);
    }
  }

  // Storage may be full or forbidden; then the queue lives as long as the page.
  #keep(item) {
    try { localStorage.setItem(this.#prefix + item.body.id, JSON.stringify(item)); } catch { /* see above */ }
  }

  #drop(item) {
    this.#queue.shift();
    try { localStorage.removeItem(this.#prefix + item.body.id); } catch { /* see above */ }
  }

  #stored() {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(this.#prefix))
        .map((key) => JSON.parse(localStorage.getItem(key)))
        .sort((one, other) => one.at - other.at);
    } catch {
      return [];
    }
  }
}
