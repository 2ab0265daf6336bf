import {
  history,
  historyKeymap,
  indentLess,
  indentMore,
  moveLineDown,
  moveLineUp,
  standardKeymap,
  toggleComment,
} from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { lintGutter, nextDiagnostic, previousDiagnostic } from "@codemirror/lint";
import { closeSearchPanel, findNext, findPrevious, openSearchPanel, search } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
} from "@codemirror/view";

import { commandFile } from "./commandFile";
import { markedLines } from "./marks";
import { styleNonce } from "./nonce";
import { theme } from "./theme";
import type { EditorLanguage } from "./types";

/** Parts that change while an editor is shown. */
export class Parts {
  readonly ends = new Compartment();
  readonly language = new Compartment();
  readonly readOnly = new Compartment();
  readonly wrap = new Compartment();
  readonly attributes = new Compartment();
  readonly phrases = new Compartment();
}

export function languageOf(language: EditorLanguage): Extension {
  switch (language) {
    case "command-single":
      return commandFile(false);
    case "command-multi":
      return commandFile(true);
    case "yaml":
      return yaml();
    case "plain":
      return [];
  }
}

export function endsOf(end: "\n" | "\r\n"): Extension {
  return EditorState.lineSeparator.of(end);
}

export function readOnlyOf(is: boolean): Extension {
  return EditorState.readOnly.of(is);
}

export function wrapOf(is: boolean): Extension {
  return is ? EditorView.lineWrapping : [];
}

/**
 * What every editor here has. Tab is not among its keys: it leaves the editor, as in any other field; Ctrl ] and
 * Ctrl [ move lines in and out.
 */
export function base(onSave: () => boolean): Extension {
  const nonce = styleNonce();
  const own = [
    { key: "Mod-s", run: onSave, preventDefault: true },
    { key: "Mod-f", run: openSearchPanel, scope: "editor search-panel" },
    { key: "Mod-g", run: findNext, shift: findPrevious, scope: "editor search-panel", preventDefault: true },
    { key: "Escape", run: closeSearchPanel, scope: "editor search-panel" },
    { key: "Mod-]", run: indentMore },
    { key: "Mod-[", run: indentLess },
    { key: "Mod-/", run: toggleComment },
    { key: "Alt-ArrowUp", run: moveLineUp },
    { key: "Alt-ArrowDown", run: moveLineDown },
    { key: "F8", run: nextDiagnostic },
    { key: "Shift-F8", run: previousDiagnostic },
  ];
  return [
    nonce ? EditorView.cspNonce.of(nonce) : [],
    lintGutter(),
    lineNumbers(),
    highlightActiveLineGutter(),
    highlightSpecialChars(),
    history(),
    drawSelection(),
    indentOnInput(),
    bracketMatching(),
    highlightActiveLine(),
    search({ top: true }),
    markedLines,
    // What is pasted has the line ends of the text it comes into.
    EditorView.clipboardInputFilter.of((text, state) => text.replace(/\r\n?|\n/g, state.lineBreak)),
    keymap.of([...own, ...historyKeymap, ...standardKeymap]),
    theme,
  ];
}
