import { useLingui } from "@lingui/react/macro";
import { useEffect, useRef } from "react";

import { Editor } from "../editor/Editor";
import type { EditorHandle, EditorProblem } from "../editor/types";
import { useSaid } from "../gpus/words";
import { Panel } from "../ui/Panel";
import styles from "./rule.module.css";
import type { Draft } from "./useDraft";

const GOES = 40;
const GOES_MS = 50;

interface TextTabProps {
  draft: Draft;
  canChange: boolean;
  /** A line to go to. */
  line: number | null;
  onSave: () => void;
}

/** The same file as text; what is wrong stands at its lines. */
export function TextTab({ draft, canChange, line, onSave }: TextTabProps) {
  const { t } = useLingui();
  const said = useSaid();
  const editor = useRef<EditorHandle>(null);
  const { base, checked, hand } = draft;
  // Fields that were changed stand in the text that the server made of them.
  const isSpliced = Object.keys(hand.changes).length > 0;
  const text = isSpliced && draft.isSettled && checked ? checked.text : hand.text;
  const problems: EditorProblem[] = (checked ? checked.problems : base.problems).map((one) => ({
    line: one.line ?? 1,
    text: [one.key, said(one.text)].filter(Boolean).join(": "),
    severity: one.kind === "refused" ? "error" : "warning",
  }));
  useEffect(() => {
    if (line === null) return;
    // The editor comes in its own time, and its text after it.
    let left = GOES;
    const timer = setInterval(() => {
      left -= 1;
      editor.current?.goTo(line);
      if (left === 0 || document.activeElement?.closest("[data-editor]")) clearInterval(timer);
    }, GOES_MS);
    return () => clearInterval(timer);
  }, [line]);
  return (
    <Panel className={styles["editor"]}>
      <Editor
        ref={editor}
        value={text}
        language="yaml"
        label={t`Text of config.yaml`}
        problems={problems}
        readOnly={!canChange || !base.is_exact || (isSpliced && !draft.isSettled)}
        onChange={draft.setText}
        onSave={onSave}
      />
    </Panel>
  );
}
