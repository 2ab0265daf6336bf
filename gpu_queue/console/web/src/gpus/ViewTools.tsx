import { Trans, useLingui } from "@lingui/react/macro";
import { IconChevronDown, IconHistory, IconLayoutGrid, IconList, IconTimeline, IconX } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";

import { useEntity } from "../live/hooks";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Menu } from "../ui/Menu";
import { RANGES, SORTS, type GpusSearch, type Range, type Sort, type View } from "./search";
import styles from "./ViewTools.module.css";

const route = getRouteApi("/ui/gpu");

function useChange(): (change: Partial<GpusSearch>) => void {
  const navigate = useNavigate();
  return (change) => void navigate({ to: ".", search: (old) => ({ ...old, ...change }), replace: true });
}

function OneNode({ node }: { node: string }) {
  const change = useChange();
  const { t } = useLingui();
  const title = useEntity("nodes", node)?.title ?? node;
  return (
    <Button size="small" title={t`Show all nodes`} onClick={() => change({ node: undefined })}>
      <Trans>node {title}</Trans> <IconX size={12} aria-hidden="true" />
    </Button>
  );
}

/** How the nodes are shown. */
export function ViewTools({ view, range, sort }: { view: View; range: Range; sort: Sort }) {
  const { t } = useLingui();
  const { node } = route.useSearch();
  const change = useChange();
  const views = [
    { id: "rows", label: t`Rows`, icon: IconList },
    { id: "tiles", label: t`Tiles`, icon: IconLayoutGrid },
    { id: "time", label: t`Over time`, icon: IconTimeline },
  ] as const;
  const sorts: Record<Sort, string> = { name: t`by name`, ends: t`what ends first`, idle: t`most idle first` };
  const ranges: Record<Range, string> = { "1h": t`1 hour`, "6h": t`6 hours`, "1d": t`1 day`, "7d": t`7 days` };
  return (
    <>
      {node !== undefined && <OneNode node={node} />}
      {view !== "tiles" && (
        <Menu
          hint={t`How far back`}
          align="end"
          className={styles["small"]}
          button={
            <>
              {ranges[range]} <IconChevronDown size={12} aria-hidden="true" />
            </>
          }
          items={RANGES.map((one) => ({
            id: one,
            label: ranges[one],
            isCurrent: one === range,
            run: () => change({ range: one === "6h" ? undefined : one, zoom: undefined }),
          }))}
        />
      )}
      <div className={styles["sort"]}>
        <Menu
          hint={t`Order of the nodes`}
          align="end"
          className={styles["small"]}
          button={
            <>
              {sorts[sort]} <IconChevronDown size={12} aria-hidden="true" />
            </>
          }
          items={SORTS.map((one) => ({
            id: one,
            label: sorts[one],
            isCurrent: one === sort,
            run: () => change({ sort: one === "name" ? undefined : one }),
          }))}
        />
      </div>
      <Link to="/ui/history" search={node === undefined ? {} : { node }} className={cx(styles["small"], styles["history"])}>
        <IconHistory size={14} stroke={1.6} aria-hidden="true" /> <Trans>History</Trans>
      </Link>
      <div role="group" aria-label={t`View`} className={styles["views"]}>
        {views.map(({ id, label, icon: Icon }) => (
          <button
            key={id}
            type="button"
            className={styles["view"]}
            aria-label={label}
            title={label}
            aria-pressed={view === id}
            onClick={() => change({ view: id, zoom: undefined })}
          >
            <Icon size={15} stroke={1.6} aria-hidden="true" />
          </button>
        ))}
      </div>
    </>
  );
}
