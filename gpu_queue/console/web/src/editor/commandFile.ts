import { StreamLanguage, type StreamParser, type StringStream } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { tags } from "@lezer/highlight";

import { fieldKind, lineKind, numberKind, type LineKind } from "./commandLines";

interface State {
  /** Something else than comments was seen in the file. */
  hasBegun: boolean;
  isPython: boolean;
  commands: number;
  numbers: number;
  kind: LineKind;
  /** Which field of `queue,GPUs,memory` comes next. */
  field: number;
  shell: { tokens: unknown[] };
}

const WORDS = /^[^\s#'"]+/;

function python(stream: StringStream): string | null {
  if (stream.eatSpace()) return null;
  if (stream.match(/^#.*/)) return "comment";
  if (stream.match(/^(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)/)) return "string";
  if (stream.match(/^\d+(?:\.\d+)?/)) return "gpus";
  stream.next();
  return null;
}

function begin(stream: StringStream, state: State): void {
  const kind = state.isPython ? "python" : lineKind(stream.string, !state.hasBegun);
  state.kind = kind;
  state.field = 0;
  if (kind === "python") state.isPython = true;
  if (kind !== "comment" && kind !== "empty") state.hasBegun = true;
  if (kind === "command") {
    state.commands += 1;
    state.shell = shell.startState?.(0) as State["shell"];
  }
}

function endBlock(state: State): void {
  state.commands = 0;
  state.numbers = 0;
}

function parser(isMulti: boolean): StreamParser<State> {
  const number = (stream: StringStream, state: State): string | null => {
    if (stream.eatSpace()) return null;
    if (stream.match(/^#.*/)) return "comment";
    if (stream.match(/^[,，]/)) {
      state.field += 1;
      return null;
    }
    if (state.kind === "last") {
      stream.match(/^[^\s#,，]+/);
      return fieldKind(state.field, isMulti);
    }
    stream.match(WORDS);
    return numberKind(state.commands, state.numbers, isMulti);
  };
  return {
    name: "command file",
    startState: () => ({ hasBegun: false, isPython: false, commands: 0, numbers: 0, kind: "empty", field: 0, shell: { tokens: [] } }),
    copyState: (state) => ({ ...state, shell: { tokens: [...state.shell.tokens] } }),
    blankLine: endBlock,
    token(stream, state) {
      if (stream.sol()) begin(stream, state);
      switch (state.kind) {
        case "comment":
          stream.skipToEnd();
          return "comment";
        case "python":
          return python(stream);
        case "number":
        case "last": {
          const found = number(stream, state);
          if (stream.eol()) {
            if (state.kind === "last") endBlock(state);
            else state.numbers += 1;
          }
          return found;
        }
        case "command":
          return stream.sol() && stream.eatSpace() ? null : shell.token(stream, state.shell);
        case "empty":
          stream.skipToEnd();
          endBlock(state);
          return null;
      }
    },
    languageData: { commentTokens: { line: "#" } },
    tokenTable: { queue: tags.labelName, gpus: tags.number, memory: tags.unit },
  };
}

const single = StreamLanguage.define(parser(false));
const multi = StreamLanguage.define(parser(true));

/** Colours of a command file: comments, queues, commands, counts of GPUs, memory. */
export function commandFile(isMulti: boolean): StreamLanguage<State> {
  return isMulti ? multi : single;
}
