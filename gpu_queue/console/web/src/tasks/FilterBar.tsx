import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import type { Living } from "../api/types";
import { useMap } from "../live/hooks";
import { thousands } from "../ui/format";
import { useIsNarrow } from "../ui/hooks";
import { useShortcut } from "../ui/keys";
import { Menu, type MenuItem } from "../ui/Menu";
import { outcomeWords } from "../ui/outcome";
import styles from "./FilterBar.module.css";
import { hasEnded, WITHIN, type TasksSearch } from "./search";
import { WHY_WORDS } from "./whyWords";
import type { Summary } from "./windows";

const route = getRouteApi("/ui/state");
const TYPED_MS = 80;
const CHOICES_MAX = 200;

/** Changes the address, without a step back for each letter. */
export function useSetSearch(): (change: Partial<TasksSearch>) => void {
  const navigate = useNavigate();
  return (change) => void navigate({ to: ".", search: (old) => ({ ...old, at: undefined, ...change }), replace: true });
}

function Words() {
  const { t } = useLingui();
  const { q = "" } = route.useSearch();
  const set = useSetSearch();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(q);
  const sent = useRef(q);
  useEffect(() => {
    // The address was changed by something else: a link, Back.
    if (q !== sent.current) {
      sent.current = q;
      setTyped(q);
    }
  }, [q]);
  useEffect(() => {
    if (typed === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = typed;
      set({ q: typed || undefined });
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  useShortcut("/", t`Filter`, () => input.current?.select());
  return (
    <input
      ref={input}
      type="search"
      className={styles["words"]}
      placeholder={t`Filter`}
      aria-label={t`Filter: words, queue:car, node:gpu1, is:failed, why:oom, user:bo, ended:8h`}
      title={t`words, queue:car, node:gpu1, is:failed, why:oom, user:bo, ended:8h`}
      maxLength={500}
      spellCheck={false}
      autoComplete="off"
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Escape" && typed === "") event.currentTarget.blur();
      }}
    />
  );
}

function choices(any: string, values: readonly MenuItem[], current: string | undefined, clear: () => void): MenuItem[] {
  return [{ id: "", label: any, isCurrent: current === undefined, run: clear }, ...values];
}

function nodeTitle(nodes: Living["nodes"] | undefined, key: string): string {
  return nodes?.[key]?.title ?? key;
}

/** What is shown of the list: words, queue, node, order, groups. All of it stands in the address. */
export function FilterBar({ summary }: { summary: Summary }) {
  const { t, i18n } = useLingui();
  const { state, queue, node, user, why, ended, group, sort, experiment, batch, without } = route.useSearch();
  const set = useSetSearch();
  const isNarrow = useIsNarrow();
  /** On a phone they would take half of the screen. */
  const [isOpen, setOpen] = useState(false);
  const nodes = useMap("nodes");
  const queues = useMap("queues") ?? {};
  const total = summary.total ?? 0;
  const number = thousands(total);

  const queueNames = [...new Set([...summary.queues.map((one) => one.value), ...Object.keys(queues)])].sort();
  const queueItems = choices(
    t`any`,
    queueNames.slice(0, CHOICES_MAX).map((name) => ({
      id: `=${name}`,
      label: name,
      note: queues[name] ? (queues[name].is_busy ? t`BUSY` : t`IDLE`) : undefined,
      isCurrent: name === queue,
      run: () => set({ queue: name }),
    })),
    queue,
    () => set({ queue: undefined }),
  );
  const nodeKeys = [...new Set([...summary.nodes.map((one) => one.value), ...Object.keys(nodes ?? {})])].sort();
  const nodeItems = choices(
    t`any`,
    nodeKeys.slice(0, CHOICES_MAX).map((key) => ({
      id: `=${key}`,
      label: nodeTitle(nodes, key),
      isCurrent: key === node,
      run: () => set({ node: key }),
    })),
    node,
    () => set({ node: undefined }),
  );
  const userItems = choices(
    t`any`,
    [...new Set([...summary.users.map((one) => one.value), ...(user === undefined ? [] : [user])])].slice(0, CHOICES_MAX).map((name) => ({
      id: `=${name}`,
      label: name,
      isCurrent: name === user,
      run: () => set({ user: name }),
    })),
    user,
    () => set({ user: undefined }),
  );
  const whyWord = (code: string): string => (WHY_WORDS[code] ? i18n._(WHY_WORDS[code]) : outcomeWords(code));
  const whyItems = choices(
    t`any`,
    summary.whys.map((one) => ({
      id: `=${one.value}`,
      label: whyWord(one.value),
      note: thousands(one.count),
      isCurrent: one.value === why,
      run: () => set({ why: one.value }),
    })),
    why,
    () => set({ why: undefined }),
  );
  const spans = { "1h": t`1 hour`, "8h": t`8 hours`, "1d": t`1 day`, "7d": t`7 days` };
  const endedItems = choices(
    t`any time`,
    WITHIN.map((one) => ({ id: one, label: spans[one], isCurrent: one === ended, run: () => set({ ended: one }) })),
    ended,
    () => set({ ended: undefined }),
  );
  const groups = { none: t`none`, queue: t`queue`, batch: t`job file`, experiment: t`experiment` };
  const groupItems = (["none", "queue", "batch", "experiment"] as const).map((id) => ({
    id,
    label: groups[id],
    isCurrent: (group ?? "none") === id,
    run: () => set({ group: id === "none" ? undefined : id }),
  }));
  const isEnded = state === "done" || state === "failed";
  const orders = { run: isEnded ? t`last ended` : t`run order`, newest: t`newest`, oldest: t`oldest`, title: t`name`, priority: t`priority` };
  const orderItems = (["run", "newest", "oldest", "title", "priority"] as const).map((id) => ({
    id,
    label: orders[id],
    isCurrent: (sort ?? "run") === id,
    run: () => set({ sort: id === "run" ? undefined : id }),
  }));
  const chosen = [queue, node, user, why, ended, group, sort].filter((one) => one !== undefined).length;
  const isShown = !isNarrow || isOpen;
  const queueShown = queue ?? t`any`;
  const nodeShown = node === undefined ? t`any` : nodeTitle(nodes, node);
  const userShown = user ?? t`any`;
  const whyShown = why === undefined ? t`any` : whyWord(why);
  const span = ended === undefined ? "" : spans[ended];
  const endedShown = ended === undefined ? t`any time` : t`the last ${span}`;
  const groupShown = groups[group ?? "none"];
  const orderShown = orders[sort ?? "run"];
  const lookedAt = thousands(summary.lookedAt);
  const fileShown = batch?.split("/").pop() ?? "";
  return (
    <div className={styles["bar"]} role="search">
      <Words />
      {isNarrow && (
        <button type="button" className={styles["tag"]} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {chosen > 0 ? <Trans>Filters: {chosen}</Trans> : <Trans>Filters</Trans>}
        </button>
      )}
      {isShown && <Menu button={t`queue: ${queueShown}`} items={queueItems} className={styles["menu"]} />}
      {isShown && <Menu button={t`node: ${nodeShown}`} items={nodeItems} className={styles["menu"]} />}
      {isShown && (summary.users.length > 1 || user !== undefined) && (
        <Menu button={t`user: ${userShown}`} items={userItems} className={styles["menu"]} />
      )}
      {isShown && (whyItems.length > 2 || why !== undefined) && state !== "done" && state !== "running" && (
        <Menu
          button={state === "failed" ? t`failed by: ${whyShown}` : t`waits for: ${whyShown}`}
          items={whyItems}
          className={styles["menu"]}
        />
      )}
      {isShown && hasEnded(state) && <Menu button={t`ended: ${endedShown}`} items={endedItems} className={styles["menu"]} />}
      {isShown && <Menu button={t`group: ${groupShown}`} items={groupItems} className={styles["menu"]} />}
      {isShown && group === undefined && <Menu button={t`order: ${orderShown}`} items={orderItems} className={styles["menu"]} />}
      <Link to="/ui/batch" search={experiment === undefined ? {} : { group: experiment }} className={styles["batches"]}>
        {experiment === undefined ? <Trans>Batches</Trans> : <Trans>its table</Trans>}
      </Link>
      {experiment !== undefined && (
        <button type="button" className={styles["tag"]} onClick={() => set({ experiment: undefined })}>
          <Trans>experiment: {experiment} ✕</Trans>
        </button>
      )}
      {batch !== undefined && (
        <button type="button" className={styles["tag"]} title={batch} onClick={() => set({ batch: undefined })}>
          <Trans>job file: {fileShown} ✕</Trans>
        </button>
      )}
      {without !== undefined && (
        <button type="button" className={styles["tag"]} onClick={() => set({ without: undefined })}>
          {without === "queue" ? <Trans>no queue ✕</Trans> : without === "batch" ? <Trans>of no job file ✕</Trans> : <Trans>of no experiment ✕</Trans>}
        </button>
      )}
      <span className={styles["count"]} role="status">
        {summary.total === null ? null : summary.isPartial ? (
          <Trans>{number} so far; {lookedAt} were looked at</Trans>
        ) : (
          <Plural value={total} one="1 task" other={`${number} tasks`} />
        )}
      </span>
    </div>
  );
}
