import { msg } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

import type { EditorLanguage } from "../editor/types";

export const MODES = ["single", "multi", "yaml"] as const;

export type Mode = (typeof MODES)[number];

/** A job file, as addresses name it. */
export interface Which {
  mode: Mode;
  index: string;
}

/** What the files of a mode are, in the list and in the menu that makes one. */
export const MODE_WORDS = {
  single: { about: msg`one GPU a task`, make: msg`Command file, one GPU a task` },
  multi: { about: msg`several GPUs a task`, make: msg`Command file, several GPUs a task` },
  yaml: { about: msg`experiments`, make: msg`Experiment file (YAML) …` },
} as const;

export const LANGUAGE: Record<Mode, EditorLanguage> = { single: "command-single", multi: "command-multi", yaml: "yaml" };

export function modeOf(text: string): Mode | undefined {
  return MODES.find((one) => one === text);
}

/** How people call a file: `Configuration 2`, or the name of an experiment. */
export function useFileName(): (which: { mode: Mode; index: string | number }, name?: string) => string {
  const { t } = useLingui();
  return ({ mode, index }, name) => {
    if (mode === "yaml") return name ?? String(index);
    const number = Number(index) + 1;
    return t`Configuration ${number}`;
  };
}
