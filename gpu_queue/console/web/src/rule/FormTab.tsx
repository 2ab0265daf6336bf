import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useMemo, useRef, useState } from "react";

import { useSaid } from "../gpus/words";
import { Empty } from "../ui/Empty";
import { Panel } from "../ui/Panel";
import { useShortcut } from "../ui/keys";
import { FieldRow, inHand } from "./FieldRow";
import type { PolicyField } from "./requests";
import styles from "./rule.module.css";
import type { Draft } from "./useDraft";

const SHOWN = ["all", "said", "changed"] as const;
type Shown = (typeof SHOWN)[number];

function wordsOf(field: PolicyField): string {
  return [field.key, field.label.en, field.label.zh, field.meaning.en, field.meaning.zh].join(" ").toLowerCase();
}

function problemsOf(draft: Draft, said: (words: PolicyField["label"]) => string): Map<string, string[]> {
  const { problems, refused = [] } = draft.checked ?? { problems: draft.base.problems };
  const found = new Map<string, string[]>();
  const add = (key: string, text: string): void => void found.set(key, [...(found.get(key) ?? []), text]);
  for (const one of problems) if (one.key) add(one.key, said(one.text));
  for (const one of refused) add(one.key, said(one.text));
  return found;
}

/** All settings, in their groups. */
export function FormTab({ draft, canChange, onText }: { draft: Draft; canChange: boolean; onText: (line: number | null) => void }) {
  const { t } = useLingui();
  const said = useSaid();
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState<Shown>("all");
  const input = useRef<HTMLInputElement>(null);
  useShortcut("/", t`Filter`, () => input.current?.select());
  const saved = useMemo(() => new Map(draft.base.fields.map((one) => [one.key, one])), [draft.base]);
  const fields = draft.checked?.fields ?? draft.base.fields;
  const problems = problemsOf(draft, said);
  const words = typed.trim().toLowerCase().split(/\s+/);
  const isShown = (field: PolicyField): boolean => {
    if (problems.has(field.key)) return words.every((word) => wordsOf(field).includes(word));
    const value = inHand(draft, field);
    if (shown === "said" && value === null) return false;
    if (shown === "changed" && value === (saved.get(field.key)?.value ?? null)) return false;
    return words.every((word) => wordsOf(field).includes(word));
  };
  const visible = fields.filter(isShown);
  const shownCount = visible.length;
  const names = { all: t`all settings`, said: t`those in the file`, changed: t`changed ones` };
  return (
    <>
      <div className={styles["filter"]} role="search">
        <input
          ref={input}
          type="search"
          className={styles["words"]}
          placeholder={t`Filter`}
          aria-label={t`Filter settings`}
          value={typed}
          spellCheck={false}
          autoComplete="off"
          maxLength={200}
          onChange={(event) => setTyped(event.target.value)}
        />
        <select aria-label={t`Which settings`} value={shown} onChange={(event) => setShown(SHOWN.find((one) => one === event.target.value) ?? "all")}>
          {SHOWN.map((one) => (
            <option key={one} value={one}>
              {names[one]}
            </option>
          ))}
        </select>
        <span className={styles["count"]} role="status">
          <Plural value={shownCount} one="# setting" other="# settings" />
        </span>
      </div>
      {visible.length === 0 && (
        <Panel>
          <Empty>
            <Trans>No setting is like that.</Trans>
          </Empty>
        </Panel>
      )}
      {draft.base.groups.map((group) => {
        const own = visible.filter((field) => field.group === group.name);
        if (own.length === 0) return null;
        return (
          <Panel key={group.name} title={said(group.label)} className={styles["group"]} id={`group-${group.name}`}>
            {own.map((field) => (
              <FieldRow
                key={field.key}
                draft={draft}
                was={saved.get(field.key) ?? field}
                field={field}
                problems={problems.get(field.key) ?? []}
                canChange={canChange}
                onText={onText}
              />
            ))}
          </Panel>
        );
      })}
    </>
  );
}
