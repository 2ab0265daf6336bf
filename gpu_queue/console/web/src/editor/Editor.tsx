import { lazy, Suspense } from "react";

import { cx } from "../ui/cx";
import { Skeleton } from "../ui/Skeleton";
import styles from "./Editor.module.css";
import type { EditorProps } from "./types";

const CodeEditor = lazy(() => import("./CodeEditor").then((room) => ({ default: room.CodeEditor })));

/**
 * A text in an editor: highlighted, with line numbers, search (Ctrl F), undo, and marks at the lines of `problems`.
 *
 * It fills the height that its place gives it. `value` is the text as the page knows it; `onChange` tells each change.
 * Another text means another `key`, else the change can be undone. Tab leaves it, as it leaves any field.
 */
export function Editor(props: EditorProps) {
  return (
    <Suspense
      fallback={
        <div className={cx(styles["editor"], props.className)}>
          <Skeleton rows={12} height_px={18} />
        </div>
      }
    >
      <CodeEditor {...props} />
    </Suspense>
  );
}
