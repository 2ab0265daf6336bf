import { Trans, useLingui } from "@lingui/react/macro";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { hours } from "../history/numbers";
import { useMap } from "../live/hooks";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { duration, gib, thousands, UNKNOWN } from "../ui/format";
import { useIsNarrow } from "../ui/hooks";
import { outcomeWords } from "../ui/outcome";
import { StateShape } from "../ui/StateShape";
import styles from "./Batch.module.css";
import type { Detail, Run } from "./batches";
import { knownColumns } from "./columns";
import { PHASE_WORDS, SHAPES } from "./words";

const STEP = 200;

interface Column {
  id: string;
  label: string;
  isNumber?: boolean;
  cell: (run: Run) => ReactNode;
}

function useStateWord(): (run: Run) => string {
  const { i18n } = useLingui();
  return (run) => {
    const word = i18n._(PHASE_WORDS[run.state]);
    if (run.state !== "failed") return word;
    const kind = run.error_type && run.error_type !== "unknown" ? run.error_type : outcomeWords(run.outcome);
    return kind && kind !== word ? `${word} · ${kind}` : word;
  };
}

function useColumns(detail: Detail): Column[] {
  const { t } = useLingui();
  const nodes = useMap("nodes") ?? {};
  const word = useStateWord();
  const known = knownColumns(detail);
  const asked = (run: Run): string => (run.memory_asked_bytes == null ? "" : ` / ${gib(run.memory_asked_bytes)}`);
  const memory = (run: Run): ReactNode => {
    const title = run.memory === "more" ? t`more than it asked for` : run.memory === "far less" ? t`less than half of what it asked for` : undefined;
    return (
      <span title={title} className={run.memory === "more" ? styles["more"] : undefined}>
        {gib(run.memory_peak_bytes)}
        {asked(run)}
      </span>
    );
  };
  const all: Column[] = [
    ...detail.params.map((name, at) => ({ id: `p${at}`, label: name, cell: (run: Run) => <span title={run.params[at]}>{run.params[at] || UNKNOWN}</span> })),
    { id: "state", label: t`state`, cell: (run) => <span className={run.state === "failed" ? styles["bad"] : undefined}>{word(run)}</span> },
    { id: "tries", label: t`tries`, isNumber: true, cell: (run) => run.tries },
    { id: "waited", label: t`waited`, isNumber: true, cell: (run) => duration(run.waited_s) },
    { id: "ran", label: t`ran`, isNumber: true, cell: (run) => duration(run.ran_s) },
    { id: "gpus", label: t`GPUs`, isNumber: true, cell: (run) => run.gpus ?? UNKNOWN },
    { id: "gpu_h", label: t`GPU-h`, isNumber: true, cell: (run) => (run.unknown_tries > 0 && run.gpu_s != null ? `>${hours(run.gpu_s)}` : hours(run.gpu_s)) },
    { id: "peak", label: t`memory GiB`, isNumber: true, cell: memory },
    { id: "util", label: t`util. %`, isNumber: true, cell: (run) => (run.utilization_percent == null ? UNKNOWN : run.utilization_percent.toFixed(0)) },
    { id: "node", label: t`node`, cell: (run) => (run.node ? (nodes[run.node]?.title ?? run.node) : UNKNOWN) },
  ];
  return all.filter((one) => one.id.startsWith("p") && one.id !== "peak" ? true : known.has(one.id));
}

interface HeadProps {
  column: Pick<Column, "id" | "label" | "isNumber">;
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
}

/** Up, then down, then as it was. */
function Head({ column, sort, onSort }: HeadProps) {
  const isUp = sort === column.id;
  const isDown = sort === `-${column.id}`;
  const next = isUp ? `-${column.id}` : isDown ? undefined : column.id;
  return (
    <th scope="col" aria-sort={isUp ? "ascending" : isDown ? "descending" : "none"} className={cx(column.isNumber && styles["number"])}>
      <button type="button" onClick={() => onSort(next)}>
        {column.label}
        {isUp && <IconArrowUp size={11} aria-hidden="true" />}
        {isDown && <IconArrowDown size={11} aria-hidden="true" />}
      </button>
    </th>
  );
}

interface RunTableProps {
  detail: Detail;
  runs: readonly Run[];
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
}

function Name({ run }: { run: Run }) {
  return (
    <Link to="/ui/state/$id" params={{ id: run.key }} className={styles["name"]} title={run.reason || run.name}>
      <StateShape shape={SHAPES[run.state]} size={11} />
      <span>{run.name || run.short}</span>
    </Link>
  );
}

function NarrowRuns({ detail, runs }: { detail: Detail; runs: readonly Run[] }) {
  const word = useStateWord();
  return (
    <ul className={styles["lines"]}>
      {runs.map((run) => (
        <li key={run.key}>
          <Name run={run} />
          <span className={styles["second"]}>
            <span className={run.state === "failed" ? styles["bad"] : undefined}>{word(run)}</span>
            {run.ran_s != null && <> · {duration(run.ran_s)}</>}
            {detail.params.map((name, at) => (run.params[at] ? <span key={name}> · {`${name} ${run.params[at]}`}</span> : null))}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** A row a run, as `gpu-queue report` has it; each head sorts. */
export function RunTable({ detail, runs, sort, onSort }: RunTableProps) {
  const { t } = useLingui();
  const isNarrow = useIsNarrow();
  const columns = useColumns(detail);
  const [most, setMost] = useState(STEP);
  const shown = runs.slice(0, most);
  const rest = runs.length - shown.length;
  const more = thousands(Math.min(STEP, rest));
  const all = thousands(runs.length);
  return (
    <>
      {isNarrow ? (
        <NarrowRuns detail={detail} runs={shown} />
      ) : (
        <div className={styles["scroll"]} tabIndex={0} role="region" aria-label={t`Runs`}>
          <table className={styles["runs"]} aria-label={t`Runs`} aria-rowcount={runs.length + 1}>
            <thead>
              <tr>
                <Head column={{ id: "name", label: t`name` }} sort={sort} onSort={onSort} />
                {columns.map((column) => (
                  <Head key={column.id} column={column} sort={sort} onSort={onSort} />
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((run) => (
                <tr key={run.key}>
                  <th scope="row">
                    <Name run={run} />
                  </th>
                  {columns.map((column) => (
                    <td key={column.id} className={cx(column.isNumber && styles["number"])}>
                      {column.cell(run)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {rest > 0 && (
        <div className={styles["rest"]}>
          <Button size="small" onClick={() => setMost(most + STEP)}>
            <Trans>Show {more} more of {all}</Trans>
          </Button>
        </div>
      )}
    </>
  );
}
