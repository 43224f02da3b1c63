// A small, safe subset of Markdown, built as DOM nodes: no text ever becomes markup.

const INLINE = new RegExp([
  /\\([\\`*_~[\]()#>.!+-])/,
  /`([^`\n]+)`/,
  /\[([^\]\n]{1,500})\]\((\S{1,2000}?)\)/,
  /\*\*(?=[^\s*])([^]{0,2000}?\S)\*\*/,
  /(?<![\w*])\*(?=[^\s*])([^*\n]{0,2000}?[^\s*])\*(?!\w)/,
  /(?<!\w)_(?=[^\s_])([^_\n]{0,2000}?[^\s_])_(?!\w)/,
  /~~(?=[^\s~])([^]{0,2000}?\S)~~/,
  /(https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}*_~])/,
].map((part) => part.source).join("|"), "g");
const ADDRESS = /https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}]/g;

export function element(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

/** A link, or just its words when the address is none that a browser should open. */
export function link(address, ...children) {
  const allowed = URL.canParse(address) && /^(https?|mailto|tel):$/.test(new URL(address).protocol);
  return allowed
    ? element("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children)
    : element("span", {}, ...children);
}

/** Text as it is, with addresses that can be opened. */
export function plain(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    nodes.push(text.slice(end, match.index), link(match[0], match[0]));
    end = match.index + match[0].length;
  }
  return [element("p", {}, ...nodes, text.slice(end))];
}

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [all, escaped, code, label, target, bold, starred, underscored, struck, address] = match;
    nodes.push(text.slice(end, match.index));
    end = match.index + all.length;
    if (escaped) nodes.push(escaped);
    else if (code) nodes.push(element("code", {}, code));
    else if (label) nodes.push(link(target, ...inline(label)));
    else if (bold) nodes.push(element("strong", {}, ...inline(bold)));
    else if (starred || underscored) nodes.push(element("em", {}, ...inline(starred || underscored)));
    else if (struck) nodes.push(element("s", {}, ...inline(struck)));
    else nodes.push(link(address, address));
  }
  return [...nodes, text.slice(end)];
}

const BLOCKS = [
  [/^(#{1,6})\s+(.*)/, "h3"],
  [/^\s*[-*+]\s+(.*)/, "ul"],
  [/^\s*(\d{1,9})[.)]\s+(.*)/, "ol"],
  [/^>\s?(.*)/, "blockquote"],
];

function kindOf(line) {
  for (const [pattern, tag] of BLOCKS) {
    const match = line.match(pattern);
    if (match) return [tag, match.at(-1), match[1]];
  }
  return [line.trim() ? "p" : "", line, ""];
}

/** Markdown as a list of block elements. */
export function markdown(text) {
  const blocks = [];
  // Fenced code first: every second piece is the inside of a fence.
  for (const [index, piece] of text.split(/^```[^\n]*\n([^]*?)(?:\n```[ \t]*$|$(?![^]))/m).entries()) {
    if (index % 2) blocks.push(element("pre", {}, element("code", {}, piece)));
    else blocks.push(...paragraphs(piece));
  }
  return blocks;
}

function paragraphs(text) {
  const groups = [];
  for (const line of text.split("\n")) {
    const [tag, content, mark] = kindOf(line);
    const last = groups.at(-1);
    if (last && last.tag === tag && tag !== "h3") last.lines.push(content);
    else groups.push({ tag, lines: [content], start: Number(mark) || 1 });
  }
  return groups.filter(({ tag }) => tag).map(({ tag, lines, start }) => {
    if (tag !== "ul" && tag !== "ol") return element(tag, {}, ...inline(lines.join("\n")));
    const list = element(tag, {}, ...lines.map((line) => element("li", {}, ...inline(line))));
    if (start > 1) list.start = start;
    return list;
  });
}
