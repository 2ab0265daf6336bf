import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useId, useMemo, useState, type KeyboardEvent, type ReactNode } from "react";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { TaskPage } from "../api/types";
import { useKeys, useStore } from "../live/hooks";
import { useCopyLink } from "../ui/CopyLink";
import { thousands } from "../ui/format";
import { useModal } from "../ui/modal";
import { StateShape, type Shape } from "../ui/StateShape";
import { useIsReadOnly } from "./console";
import { useJob } from "./job";
import { MORE_PAGES, PAGES } from "./pages";
import styles from "./Palette.module.css";

interface Found {
  id: string;
  label: string;
  note: string;
  shape?: Shape;
  go: () => void;
}

const MOST = 12;

function useTasksLike(q: string) {
  const job = useJob();
  return useQuery({
    queryKey: ["palette", job, q],
    enabled: q.length >= 2,
    queryFn: ({ signal }) =>
      client.get<TaskPage>(spool(job, "tasks"), { query: { state: "all", q, limit: 8, sort: "newest" }, signal }),
  });
}

/** Whether all words of what was typed are in a text. */
export function matches(text: string, typed: string): boolean {
  const lower = text.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

function useFound(typed: string): Found[] {
  const { t, i18n } = useLingui();
  const navigate = useNavigate();
  const store = useStore();
  const nodes = useKeys("nodes");
  const tasks = useTasksLike(typed.trim());
  const isReadOnly = useIsReadOnly() === true;
  const copyLink = useCopyLink(useJob());
  return useMemo(() => {
    const pages: Found[] = [...PAGES, ...MORE_PAGES].map((page) => ({
      id: page.to,
      label: i18n._(page.label),
      note: t`page`,
      go: () => void navigate({ to: page.to }),
    }));
    const actions: Found[] = [
      {
        id: "submit",
        label: t`Submit a script`,
        note: t`action`,
        go: () => void navigate({ to: ".", search: (old) => ({ ...old, submit: true }) }),
      },
      { id: "copy", label: t`Copy the link to this view`, note: t`action`, go: copyLink },
    ];
    const places: Found[] = nodes.map((key) => ({
      id: `node ${key}`,
      label: store.living?.nodes[key]?.title ?? key,
      note: t`node`,
      go: () => void navigate({ to: "/ui/gpu", search: { node: key } }),
    }));
    const found = [...pages, ...(isReadOnly ? [] : actions), ...places].filter((one) => matches(one.label, typed.trim()));
    for (const row of tasks.data?.items ?? []) {
      found.push({
        id: `task ${row.key}`,
        label: row.title,
        note: row.short,
        shape: row.state,
        go: () => void navigate({ to: "/ui/state/$id", params: { id: row.key } }),
      });
    }
    const shown = found.slice(0, MOST);
    const total = tasks.data?.total ?? 0;
    if (total > (tasks.data?.items.length ?? 0)) {
      const number = thousands(total);
      shown.push({
        id: "all",
        label: t`All ${number} tasks like this`,
        note: t`page`,
        go: () => void navigate({ to: "/ui/state", search: { state: "all", q: typed.trim(), sort: "newest" } }),
      });
    }
    return shown;
  }, [i18n, t, navigate, nodes, store, tasks.data, typed, isReadOnly]);
}

function Row({ one, isAt, id, onGo }: { one: Found; isAt: boolean; id: string; onGo: () => void }): ReactNode {
  return (
    <li id={id} role="option" aria-selected={isAt} className={styles["row"]} onClick={onGo}>
      {one.shape && <StateShape shape={one.shape} />}
      <span className={styles["label"]}>{one.label}</span>
      <span className={styles["note"]}>{one.note}</span>
    </li>
  );
}

/** Go to a page, a node, a task, or begin something: `Ctrl K`. */
export function Palette({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const ref = useModal(onClose);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const listId = useId();
  const found = useFound(typed);
  const current = Math.min(at, Math.max(0, found.length - 1));

  const go = (one: Found | undefined): void => {
    if (!one) return;
    onClose();
    one.go();
  };
  const press = (event: KeyboardEvent): void => {
    const to = { ArrowDown: current + 1, ArrowUp: current - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      setAt((to + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      go(found[current]);
    }
  };

  return (
    <dialog ref={ref} className={styles["palette"]} aria-label={t`Find`}>
      <input
        data-focus
        className={styles["input"]}
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={found.length > 0 ? `${listId}-${current}` : undefined}
        aria-label={t`Task, node, page or action`}
        placeholder={t`Task, node, page or action`}
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onKeyDown={press}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
      />
      <ul id={listId} role="listbox" aria-label={t`Found`} className={styles["list"]}>
        {found.map((one, index) => (
          <Row key={one.id} id={`${listId}-${index}`} one={one} isAt={index === current} onGo={() => go(one)} />
        ))}
      </ul>
      {found.length === 0 && (
        <p className={styles["none"]}>
          <Trans>Nothing is called so.</Trans>
        </p>
      )}
    </dialog>
  );
}
