/** What a line of a command file is, as far as colours need it; the server's parser is the judge. */
export type LineKind = "empty" | "comment" | "number" | "last" | "command" | "python";

const NUMBER = /^[-+]?\d[\d.]*(?:\s*-\s*\d+)?\s*(?:[kmgt]i?b?)?$/i;
const LAST = /^[-+\w. ]*[,，][-+\w., ，]*$/;
const LIST = /^(?:[A-Za-z_]\w*\s*(?::[^=]*)?=\s*)?\[/;
const LONGEST = 100;

/** What one line is; `isFirst`: nothing but comments stands before it in the file. */
export function lineKind(line: string, isFirst: boolean): LineKind {
  const text = line.trim();
  if (text === "") return "empty";
  if (text.startsWith("#")) return "comment";
  if (isFirst && LIST.test(text)) return "python";
  const said = (text.split("#", 1)[0] ?? "").trim();
  if (said.length > LONGEST) return "command";
  if (LAST.test(said) && (/^\d/.test(said) || !said.includes(" "))) return "last";
  return NUMBER.test(said) ? "number" : "command";
}

/** What the numbers of a line mean. */
export type NumberKind = "queue" | "gpus" | "memory";

/** What the number alone in a line means: the queue before commands; behind them the GPUs, if several, then the memory. */
export function numberKind(commandsBefore: number, numbersBefore: number, isMulti: boolean): NumberKind {
  if (numbersBefore === 0 && commandsBefore === 0) return "queue";
  return isMulti && numbersBefore <= 1 ? "gpus" : "memory";
}

/** What the fields of `queue,GPUs,memory` mean. */
export function fieldKind(at: number, isMulti: boolean): NumberKind {
  if (at === 0) return "queue";
  return isMulti && at === 1 ? "gpus" : "memory";
}
