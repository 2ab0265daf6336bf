import { EditorState, Text } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useImperativeHandle, useRef, useState } from "react";

import { useIsNarrow } from "../ui/hooks";
import { cx } from "../ui/cx";
import styles from "./Editor.module.css";
import { leastChange, lineEnd } from "./lineEnds";
import { markLines, showProblems } from "./marks";
import { usePhrases } from "./phrases";
import { base, endsOf, languageOf, Parts, readOnlyOf, wrapOf } from "./setup";
import type { EditorProblem, EditorProps } from "./types";

const NONE: readonly EditorProblem[] = [];

function useView(props: EditorProps, isNarrow: boolean, phrases: Record<string, string>) {
  const parent = useRef<HTMLDivElement>(null);
  const [parts] = useState(() => new Parts());
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  /** What the page knows the text to be: its own changes need not come back. */
  const known = useRef(props.value);

  const attributes = (): Record<string, string> => ({
    "aria-label": latest.current.label,
    "aria-readonly": String(latest.current.readOnly ?? false),
    "aria-invalid": String((latest.current.problems ?? NONE).some((one) => one.severity !== "warning")),
    ...(latest.current.describedBy === undefined ? {} : { "aria-describedby": latest.current.describedBy }),
    autocapitalize: "off",
    autocorrect: "off",
    spellcheck: "false",
    translate: "no",
  });

  useEffect(() => {
    if (!parent.current) return;
    const { value, language, readOnly = false } = latest.current;
    known.current = value;
    let line = 1;
    const said = EditorView.updateListener.of((update) => {
      if (update.docChanged) {
        const text = update.state.sliceDoc();
        if (text !== known.current) {
          known.current = text;
          latest.current.onChange?.(text);
        }
      }
      const now = update.state.doc.lineAt(update.state.selection.main.head).number;
      if (now === line) return;
      line = now;
      latest.current.onLine?.(now);
    });
    const made = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          parts.ends.of(endsOf(lineEnd(value))),
          parts.language.of(languageOf(language)),
          parts.readOnly.of(readOnlyOf(readOnly)),
          parts.wrap.of(wrapOf(isNarrow)),
          parts.attributes.of(EditorView.contentAttributes.of(attributes())),
          parts.phrases.of(EditorState.phrases.of(phrases)),
          base(() => {
            latest.current.onSave?.();
            return true;
          }),
          said,
        ],
      }),
    });
    view.current = made;
    return () => {
      view.current = null;
      made.destroy();
    };
    // Made once; all that changes is told below.
  }, [parts]);

  const { value, language, readOnly = false, label, describedBy, problems = NONE, marked = null } = props;
  useEffect(() => {
    const { current } = view;
    if (!current || value === known.current) return;
    known.current = value;
    current.dispatch({ effects: parts.ends.reconfigure(endsOf(lineEnd(value))) });
    const { doc, lineBreak } = current.state;
    // In a document, the end of a line is one character, whatever it is in the text.
    const { from, to, insert } = leastChange(doc.toString(), lineBreak === "\n" ? value : value.replaceAll(lineBreak, "\n"));
    current.dispatch({ changes: { from, to, insert: Text.of(insert.split("\n")) } });
  }, [value, parts]);
  useEffect(() => void view.current?.dispatch({ effects: parts.language.reconfigure(languageOf(language)) }), [language, parts]);
  useEffect(() => void view.current?.dispatch({ effects: parts.readOnly.reconfigure(readOnlyOf(readOnly)) }), [readOnly, parts]);
  useEffect(() => void view.current?.dispatch({ effects: parts.wrap.reconfigure(wrapOf(isNarrow)) }), [isNarrow, parts]);
  useEffect(() => void view.current?.dispatch({ effects: parts.phrases.reconfigure(EditorState.phrases.of(phrases)) }), [phrases, parts]);
  useEffect(() => {
    view.current?.dispatch({ effects: parts.attributes.reconfigure(EditorView.contentAttributes.of(attributes())) });
  }, [label, describedBy, readOnly, problems, parts]);
  useEffect(() => {
    const { current } = view;
    if (current) current.dispatch(showProblems(current.state, problems));
  }, [problems]);
  const { from = 0, to = 0 } = marked ?? {};
  useEffect(() => void view.current?.dispatch(markLines(from > 0 ? { from, to } : null)), [from, to]);

  return { parent, view };
}

/** The editor itself, with all of CodeMirror: `Editor` loads it when it is first shown. */
export function CodeEditor(props: EditorProps) {
  const { parent, view } = useView(props, useIsNarrow(), usePhrases());
  useImperativeHandle(props.ref, () => {
    const at = (number: number): number => {
      const doc = view.current?.state.doc;
      return doc ? doc.line(Math.min(Math.max(1, number), doc.lines)).from : 0;
    };
    return {
      focus: () => view.current?.focus(),
      goTo: (line) => {
        view.current?.dispatch({ selection: { anchor: at(line) }, effects: EditorView.scrollIntoView(at(line), { y: "center" }) });
        view.current?.focus();
      },
      reveal: (line) => view.current?.dispatch({ effects: EditorView.scrollIntoView(at(line), { y: "nearest", yMargin: 36 }) }),
    };
  }, [view]);
  return <div ref={parent} className={cx(styles["editor"], props.className)} data-editor="" />;
}
