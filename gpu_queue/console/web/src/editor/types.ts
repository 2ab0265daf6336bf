import type { Ref } from "react";

/** What a text is written in. `command-single`: one GPU a block; `command-multi`: each block says how many. */
export type EditorLanguage = "command-single" | "command-multi" | "yaml" | "plain";

/** Something to say about a line, by whoever read the text: the server. */
export interface EditorProblem {
  /** From 1. */
  line: number;
  text: string;
  /** Nothing: an error. */
  severity?: "error" | "warning" | undefined;
}

/** The first and the last line, from 1. */
export interface LineRange {
  from: number;
  to: number;
}

/** What a page may ask of an editor that is shown. */
export interface EditorHandle {
  focus: () => void;
  /** Puts the cursor into a line, in sight, with the focus. */
  goTo: (line: number) => void;
  /** Scrolls a line into sight; cursor and focus stay where they are. */
  reveal: (line: number) => void;
}

export interface EditorProps {
  /** The whole text. Line ends stay as they are: `\r\n` where all of them are so. */
  value: string;
  onChange?: ((text: string) => void) | undefined;
  language: EditorLanguage;
  /** Its name for readers. */
  label: string;
  problems?: readonly EditorProblem[] | undefined;
  readOnly?: boolean | undefined;
  /** Ctrl-S (Command-S on a Mac). */
  onSave?: (() => void) | undefined;
  /** Lines that are lit, for something beside the editor is about them. */
  marked?: LineRange | null | undefined;
  /** The line of the cursor, from 1, whenever it is another one. */
  onLine?: ((line: number) => void) | undefined;
  /** The id of what tells its problems in words. */
  describedBy?: string | undefined;
  className?: string | undefined;
  ref?: Ref<EditorHandle> | undefined;
}
