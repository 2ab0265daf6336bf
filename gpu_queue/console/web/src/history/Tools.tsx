import { useLingui } from "@lingui/react/macro";
import { IconChevronDown, IconChevronLeft, IconChevronRight, IconDownload } from "@tabler/icons-react";
import { getRouteApi, useNavigate } from "@tanstack/react-router";

import { useMap, useStore } from "../live/hooks";
import { useJob } from "../shell/job";
import { IconButton } from "../ui/Button";
import { CopyLink } from "../ui/CopyLink";
import { download } from "../ui/csv";
import { Menu, type MenuItem } from "../ui/Menu";
import { csvOfUsage, csvOfUsers } from "./exports";
import styles from "./History.module.css";
import { RANGE_S, RANGES, USUAL, type HistorySearch, type Range } from "./search";
import { useUsage, useUsers } from "./usage";

const route = getRouteApi("/ui/history");

export function useChange(): (change: Partial<HistorySearch>) => void {
  const navigate = useNavigate();
  return (change) => void navigate({ to: ".", search: (old) => ({ ...old, ...change }), replace: true });
}

/** What the address calls all GPUs, a node or one GPU. */
export function useScopeTitle(): string {
  const { t } = useLingui();
  const { node, card } = route.useSearch();
  const nodes = useMap("nodes") ?? {};
  const gpus = useMap("gpus") ?? {};
  if (card !== undefined) {
    const at = card.lastIndexOf("/");
    const title = nodes[card.slice(0, at)]?.title ?? card.slice(0, at);
    const index = gpus[card]?.index ?? card.slice(at + 1);
    return t`${title} · GPU ${index}`;
  }
  return node === undefined ? t`all GPUs` : (nodes[node]?.title ?? node);
}

function ScopeMenu() {
  const { t } = useLingui();
  const change = useChange();
  const { node, card } = route.useSearch();
  const nodes = useMap("nodes") ?? {};
  const gpus = useMap("gpus") ?? {};
  const title = useScopeTitle();
  const of = node ?? (card === undefined ? undefined : card.slice(0, card.lastIndexOf("/")));
  const items: MenuItem[] = [
    { id: "all", label: t`all GPUs`, isCurrent: node === undefined && card === undefined, run: () => change({ node: undefined, card: undefined }) },
  ];
  for (const key of Object.keys(nodes).sort()) {
    items.push({ id: key, label: nodes[key]?.title ?? key, isCurrent: key === node, run: () => change({ node: key, card: undefined }) });
    if (key !== of) continue;
    for (const gpu of nodes[key]?.gpus ?? []) {
      const index = gpus[gpu]?.index ?? gpu;
      items.push({ id: gpu, label: t`– GPU ${index}`, isCurrent: gpu === card, run: () => change({ node: undefined, card: gpu }) });
    }
  }
  return (
    <Menu
      hint={t`Which GPUs`}
      align="end"
      className={styles["scope"]}
      button={
        <>
          {title} <IconChevronDown size={12} aria-hidden="true" />
        </>
      }
      items={items}
    />
  );
}

function Steps() {
  const { t } = useLingui();
  const change = useChange();
  const store = useStore();
  const { range = USUAL, to } = route.useSearch();
  const move = (by: number): void => {
    const now = Math.floor(store.now_s());
    const end = (to ?? now) + by * RANGE_S[range];
    change({ to: end >= now ? undefined : end });
  };
  return (
    <span className={styles["steps"]}>
      <IconButton label={t`Earlier`} onClick={() => move(-1)}>
        <IconChevronLeft size={16} aria-hidden="true" />
      </IconButton>
      <IconButton label={t`Later`} disabled={to === undefined} onClick={() => move(1)}>
        <IconChevronRight size={16} aria-hidden="true" />
      </IconButton>
    </span>
  );
}

/** Which GPUs, how far back, and what can be taken away. */
export function Tools() {
  const { t } = useLingui();
  const job = useJob();
  const change = useChange();
  const { range = USUAL } = route.useSearch();
  const usage = useUsage().data;
  const users = useUsers().data;
  const labels: Record<Range, string> = { "6h": t`6 h`, "1d": t`1 d`, "7d": t`7 d`, "30d": t`30 d`, "90d": t`90 d` };
  return (
    <div className={styles["tools"]}>
      <ScopeMenu />
      <div role="group" aria-label={t`How far back`} className={styles["ranges"]}>
        {RANGES.map((one) => (
          <button
            key={one}
            type="button"
            className={styles["range"]}
            aria-pressed={one === range}
            onClick={() => change({ range: one === USUAL ? undefined : one })}
          >
            {labels[one]}
          </button>
        ))}
      </div>
      <Steps />
      <Menu
        label={t`Download as CSV`}
        align="end"
        className={styles["icon"]}
        button={<IconDownload size={16} stroke={1.6} aria-hidden="true" />}
        items={[
          { id: "usage", label: t`What is drawn, as CSV`, isDisabled: !usage, run: () => usage && download(`${job}-usage.csv`, csvOfUsage(usage)) },
          { id: "users", label: t`Who used the GPUs, as CSV`, isDisabled: !users, run: () => users && download(`${job}-users.csv`, csvOfUsers(users)) },
        ]}
      />
      <CopyLink job={job} />
    </div>
  );
}
