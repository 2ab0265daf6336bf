import Anser from "anser";

/** A piece of a row in one style. */
export interface Piece {
  text: string;
  /** Classes of ansi.css; empty: plain. */
  classes: string;
  color: string | null;
  background: string | null;
  /** Which hit of its row it is a part of. */
  hit?: number;
}

const SGR = /\x1b\[([0-9;:]*)m/g;
/** What moves a cursor, names a window or links: dropped. OSC, DCS and the like end with BEL or ST, or with the row. */
const OTHER = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-9;:?<=>]*[ -/]*[@-ln-~]|\x1b\[[0-9;:?<=>]*$|\x1b[ -/]*[0-Z\\^-~]/g;
/** Control characters, and those that turn the order of what is read. */
const HIDDEN = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** Of one row; the rest of it has no colours. */
const PIECES_MAX = 400;

/** The SGR sequences in force behind a text, if those were in force before it. */
export function sgrAfter(before: string, text: string): string {
  let now = before;
  for (const match of text.matchAll(SGR)) {
    const numbers = (match[1] ?? "").split(";");
    const last = numbers[numbers.length - 1];
    now = last === "" || last === "0" || last === "00" ? "" : `${now}${match[0]}`;
  }
  return now.length > 400 ? now.slice(-400).replace(/^[^\x1b]*/, "") : now;
}

/** `38:2::r:g:b` is written with semicolons as well. */
function plain(text: string): string {
  return text.includes(":") ? text.replace(SGR, (all, numbers: string) => (numbers.includes(":") ? `\x1b[${numbers.replace(/([34]8:2):\d*:(?=\d+:\d+:\d+)/g, "$1:").replaceAll(":", ";")}m` : all)) : text;
}

/** What is seen of a text: no sequences, and a dot for each character that would do something. */
export function visible(text: string): string {
  return text.replace(OTHER, "").replace(SGR, "").replaceAll("\x1b", "·").replace(HIDDEN, "·");
}

const DECORATIONS: Record<string, string> = {
  bold: "ansi-bold",
  dim: "ansi-dim",
  italic: "ansi-italic",
  underline: "ansi-underline",
  strikethrough: "ansi-strike",
  reverse: "ansi-reverse",
  hidden: "",
  blink: "",
};

/** How a piece with colours of its own is drawn: legible on the page's ground, whatever was meant for. */
export function styleOf(piece: Piece): { color?: string; background?: string } | undefined {
  const { color: fore, background: back } = piece;
  if (!fore && !back) return undefined;
  if (!back) return fore ? { color: `oklch(from ${fore} clamp(var(--log-dark), l, var(--log-light)) c h)` } : undefined;
  const [r = 0, g = 0, b = 0] = (back.match(/\d+/g) ?? []).map(Number);
  return { background: back, color: fore ?? (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000" : "#fff") };
}

function color(name: string | null, truecolor: string | null): { className: string; color: string | null } {
  if (!name) return { className: "", color: null };
  if (name === "ansi-truecolor") return { className: "", color: truecolor && /^[\d, ]+$/.test(truecolor) ? `rgb(${truecolor})` : null };
  const palette = /^ansi-palette-(\d+)$/.exec(name);
  if (palette?.[1]) return { className: "", color: paletteColor(Number(palette[1])) };
  return { className: name.replace("ansi-bright-", "ansi-"), color: null };
}

/** xterm's 256 colours from 16 on: a cube of six, and greys. */
export function paletteColor(index: number): string | null {
  if (!Number.isInteger(index) || index < 16 || index > 255) return null;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const at = index - 16;
  const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
  return `rgb(${level(Math.floor(at / 36))}, ${level(Math.floor(at / 6) % 6)}, ${level(at % 6)})`;
}

/** A row in pieces of one style. `before`: the SGR sequences in force where it begins. */
export function pieces(text: string, before: string): Piece[] {
  const clean = text.replace(OTHER, "").replace(HIDDEN, "·");
  if (before === "" && !clean.includes("\x1b")) return clean === "" ? [] : [{ text: clean, classes: "", color: null, background: null }];
  const found: Piece[] = [];
  for (const part of Anser.ansiToJson(plain(before + clean), { use_classes: true, json: true, remove_empty: true })) {
    const content = part.content.replaceAll("\x1b", "·");
    if (content === "") continue;
    const last = found[PIECES_MAX - 1];
    if (last) {
      last.text += content;
      continue;
    }
    const fore = color(part.fg, part.fg_truecolor);
    const back = color(part.bg, part.bg_truecolor);
    const classes = new Set([
      fore.className,
      back.className && `${back.className}-bg`,
      ...part.decorations.map((one) => DECORATIONS[one] ?? ""),
    ]);
    classes.delete("");
    found.push({ text: content, classes: [...classes].join(" "), color: fore.color, background: back.color });
  }
  return found;
}

/** The words of a search as it is typed: smart case, `a|b` is either. The server reads it the same way. */
export interface Words {
  words: readonly string[];
  isExact: boolean;
}

export function wordsOf(query: string): Words | null {
  const words = query.split("|").filter((one) => one !== "");
  if (words.length === 0) return null;
  const isExact = query !== query.toLowerCase();
  return { words: isExact ? words : words.map((one) => one.toLowerCase()), isExact };
}

/** Where words stand in a text: [from, to), none inside another. */
export function hitsIn(text: string, words: Words): [number, number][] {
  const hay = words.isExact ? text : text.toLowerCase();
  const found: [number, number][] = [];
  for (let at = 0; at < hay.length && found.length < 200; ) {
    let best: [number, number] | null = null;
    for (const word of words.words) {
      const place = hay.indexOf(word, at);
      if (place >= 0 && (best === null || place < best[0] || (place === best[0] && place + word.length > best[1])))
        best = [place, place + word.length];
    }
    if (!best) break;
    found.push(best);
    at = best[1];
  }
  return found;
}

/** The same pieces, cut where hits begin and end. */
export function marked(all: readonly Piece[], words: Words | null): Piece[] {
  if (!words) return [...all];
  const hits = hitsIn(all.map((one) => one.text).join(""), words);
  if (hits.length === 0) return [...all];
  const found: Piece[] = [];
  let offset = 0;
  for (const piece of all) {
    let at = 0;
    for (const [number, [from, to]] of hits.entries()) {
      const start = Math.max(0, from - offset);
      const end = Math.min(piece.text.length, to - offset);
      if (end <= 0 || start >= piece.text.length || end <= at) continue;
      if (start > at) found.push({ ...piece, text: piece.text.slice(at, start) });
      found.push({ ...piece, text: piece.text.slice(Math.max(at, start), end), hit: number });
      at = end;
    }
    if (at < piece.text.length) found.push({ ...piece, text: piece.text.slice(at) });
    offset += piece.text.length;
  }
  return found;
}
