import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import type { Wire } from "../api/types";
import { Bar } from "../ui/Bar";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { thousands } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./History.module.css";
import { hours, kWh } from "./numbers";
import { useSpent, useUsers, type Spent } from "./usage";

type UsedBy = Wire<"UsedBy">;

const SHOWN = 8;
const DAYS_SHOWN = 14;

interface WhoTableProps<Row extends UsedBy> {
  title: string;
  head: string;
  rows: readonly Row[];
  shown: number;
  name: (row: Row) => ReactNode;
  /** One more column. */
  more?: { head: string; cell: (row: Row) => string };
}

function WhoTable<Row extends UsedBy>({ title, head, rows, shown, name, more }: WhoTableProps<Row>) {
  const { t } = useLingui();
  const [isAll, setAll] = useState(false);
  const most = Math.max(1, ...rows.map((row) => row.gpu_s));
  const all = thousands(rows.length);
  const asked = rows.length;
  return (
    <Panel title={title} aside={<Trans>GPU-hours</Trans>}>
      {rows.length === 0 ? (
        <Empty>
          <Trans>No task ran.</Trans>
        </Empty>
      ) : (
        <div className={styles["overflow"]}>
          <table className={styles["who"]} aria-label={title}>
            <thead>
              <tr>
                <th scope="col">{head}</th>
                <th scope="col" className="sr-only">{t`share`}</th>
                <th scope="col">{t`GPU-h`}</th>
                <th scope="col">{t`failed`}</th>
                <th scope="col">{more?.head ?? t`tasks`}</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, isAll ? undefined : shown).map((row) => (
                <tr key={row.name}>
                  <th scope="row">{name(row)}</th>
                  <td className={styles["share"]}>
                    <Bar share={row.gpu_s / most} tone="busy" />
                  </td>
                  <td>{hours(row.gpu_s)}</td>
                  <td className={styles["dim"]}>{row.failed_gpu_s > 0 ? hours(row.failed_gpu_s) : ""}</td>
                  <td className={styles["dim"]}>{more ? more.cell(row) : thousands(row.tasks)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!isAll && asked > shown && (
        <div className={styles["all"]}>
          <Button size="small" variant="bare" onClick={() => setAll(true)}>
            <Trans>all {all}</Trans>
          </Button>
        </div>
      )}
    </Panel>
  );
}

/** Who used the GPUs: by user, by queue, by day. */
export function WhoPanels() {
  const { t } = useLingui();
  const { data, error } = useUsers();
  const spent = useSpent().data;
  if (error && !data) {
    return (
      <Panel title={t`Who used the GPUs`}>
        <Empty>{error.message}</Empty>
      </Panel>
    );
  }
  if (!data) return <Skeleton rows={8} />;
  const unread = data.unread;
  const number = thousands(unread);
  const energy = (day: Spent | undefined): string =>
    day ? kWh((day.task_j ?? 0) + (day.keepalive_j ?? 0) + (day.idle_j ?? 0)) : kWh(null);
  return (
    <>
      <WhoTable
        title={t`By user`}
        head={t`user`}
        rows={data.users}
        shown={SHOWN}
        name={(row) =>
          row.name ? (
            <Link to="/ui/state" search={{ state: "all", q: `user:${row.name}` }}>
              {row.name}
            </Link>
          ) : (
            <Trans>nobody tells</Trans>
          )
        }
      />
      <WhoTable
        title={t`By queue`}
        head={t`queue`}
        rows={data.queues}
        shown={SHOWN}
        name={(row) =>
          row.name ? (
            <Link to="/ui/state" search={{ state: "all", queue: row.name }}>
              {row.name}
            </Link>
          ) : (
            <Trans>no queue</Trans>
          )
        }
      />
      <WhoTable
        title={t`By day`}
        head={t`day`}
        rows={data.days}
        shown={DAYS_SHOWN}
        name={(row) => (
          <Link to="/ui/history" search={(old) => ({ ...old, range: "1d", to: row.to_s })} title={t`That day alone`}>
            {row.name}
          </Link>
        )}
        more={{ head: t`kWh`, cell: (row) => energy(spent?.get(row.name)) }}
      />
      {unread > 0 && (
        <p className={styles["note"]} role="status">
          <Plural value={unread} one="The record of 1 task is still read." other={`The records of ${number} tasks are still read.`} />
        </p>
      )}
      <p className={styles["note"]}>
        <Trans>Seconds times GPUs, as gpu-queue report counts them; energy as the nodes have measured it, by their days.</Trans>
      </p>
    </>
  );
}
