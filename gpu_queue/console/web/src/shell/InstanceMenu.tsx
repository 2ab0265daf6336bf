import { Trans, useLingui } from "@lingui/react/macro";
import { IconChevronDown } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";

import type { SpoolEntry } from "../api/types";
import { thousands } from "../ui/format";
import { Menu } from "../ui/Menu";
import { useChosenJob, useSpools } from "./job";
import styles from "./InstanceMenu.module.css";

function Counts({ entry }: { entry: SpoolEntry }) {
  const agents = entry.agents ?? null;
  if (!entry.counts) return <>–</>;
  const waiting = thousands(entry.counts.waiting);
  const running = thousands(entry.counts.running);
  return agents === null ? (
    <Trans>
      {waiting} wait, {running} run
    </Trans>
  ) : (
    <Trans>
      {waiting} wait, {running} run, {agents} agents
    </Trans>
  );
}

/** Which queue the page is about, and the others. */
export function InstanceMenu() {
  const { t } = useLingui();
  const job = useChosenJob();
  const navigate = useNavigate();
  const spools = useSpools();
  const entries = spools.data?.spools ?? [];
  if (entries.length === 0 && job === null) return null;
  const known = job === null || entries.some((one) => one.job === job);
  const all = known ? entries : [{ job, counts: null, agents: null }, ...entries];
  return (
    <Menu
      className={styles["opener"]}
      button={
        <>
          <span className={styles["name"]}>{job ?? t`Choose a queue`}</span>
          <IconChevronDown size={14} aria-hidden="true" />
        </>
      }
      items={all.map((entry) => ({
        id: entry.job,
        label: entry.job,
        note: <Counts entry={entry} />,
        isCurrent: entry.job === job,
        run: () => void navigate({ to: ".", search: { job: entry.job } }),
      }))}
    />
  );
}
