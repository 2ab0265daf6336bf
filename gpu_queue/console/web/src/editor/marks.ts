import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { StateEffect, StateField, type Extension, type Text, type TransactionSpec } from "@codemirror/state";
import { Decoration, EditorView, type DecorationSet } from "@codemirror/view";
import type { EditorState } from "@codemirror/state";

import type { EditorProblem, LineRange } from "./types";

const setMarked = StateEffect.define<LineRange | null>();
const marked = Decoration.line({ class: "cm-marked" });
const MOST = 2000;

function linesOf(doc: Text, range: LineRange | null): DecorationSet {
  if (range === null) return Decoration.none;
  const to = Math.min(range.to, doc.lines, range.from + MOST);
  const found = [];
  for (let line = Math.max(1, range.from); line <= to; line += 1) found.push(marked.range(doc.line(line).from));
  return Decoration.set(found);
}

/** Lines that are lit; they move with the text until others are told. */
export const markedLines: Extension = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(old, transaction) {
    let next = old.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(setMarked)) next = linesOf(transaction.state.doc, effect.value);
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export function markLines(range: LineRange | null): TransactionSpec {
  return { effects: setMarked.of(range) };
}

/** Problems at their lines: a mark in the gutter, a wave below the text. One of a line that is not there is at the last. */
export function showProblems(state: EditorState, problems: readonly EditorProblem[]): TransactionSpec {
  const found: Diagnostic[] = problems.map((one) => {
    const line = state.doc.line(Math.min(Math.max(1, one.line), state.doc.lines));
    const indent = line.text.length - line.text.trimStart().length;
    const to = line.from + line.text.trimEnd().length;
    return { from: Math.min(line.from + indent, to), to, severity: one.severity ?? "error", message: one.text };
  });
  return setDiagnostics(state, found.sort((a, b) => a.from - b.from));
}
