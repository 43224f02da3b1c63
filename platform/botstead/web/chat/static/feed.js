// Server-sent events over fetch. EventSource hides pings and status codes, so it can neither notice a connection that
// died silently (a phone that changed networks) nor tell «restarting» from «gone».

const SILENCE = 40_000; // the server says something every 15 s
const SLOWEST = 10_000;

/** A wait that can be cut short. */
export class Pause {
  wake = () => {};

  wait(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}

export function backoff(failures, fastest = 1_000) {
  return Math.min(SLOWEST, fastest * 2 ** Math.min(failures, 6)) * (0.5 + Math.random() / 2);
}

export class Feed {
  #url; #handle; #connected; #cursor = ""; #pause = new Pause(); #abort = new AbortController();

  /** Reads `url` for ever: `handle(type, data)` for each event, `connected(yes)` whenever that changes. */
  constructor(url, { handle, connected }) {
    this.#url = url;
    this.#handle = handle;
    this.#connected = connected;
    addEventListener("online", () => this.#pause.wake());
    addEventListener("offline", () => this.#abort.abort());
    document.addEventListener("visibilitychange", () => document.hidden || this.#pause.wake());
  }

  async run() {
    for (let failures = 0; ; failures += 1) {
      try {
        await this.#read(() => { failures = 0; this.#connected(true); });
      } catch { /* whatever broke it, the way on is the same: come again with the cursor */ }
      this.#connected(false);
      await this.#pause.wait(backoff(failures, 500));
    }
  }

  async #read(opened) {
    this.#abort = new AbortController();
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => this.#abort.abort(), SILENCE);
    };
    try {
      alive();
      const headers = this.#cursor ? { "Last-Event-ID": this.#cursor } : {};
      const response = await fetch(this.#url, { headers, signal: this.#abort.signal, cache: "no-store" });
      if (!response.ok) throw new Error(response.status);
      opened();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
        alive();
        const events = (rest + part.value).split("\n\n");
        rest = events.pop();
        events.forEach((text) => this.#dispatch(text));
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #dispatch(text) {
    const fields = Object.fromEntries(text.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
    if (fields.data) this.#handle(fields.event ?? "message", JSON.parse(fields.data));
    if (fields.id) this.#cursor = fields.id;
  }
}
