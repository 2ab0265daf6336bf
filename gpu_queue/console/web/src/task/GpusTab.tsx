import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { History, TaskDetail, Wire } from "../api/types";
import { useEntity, useStore } from "../live/hooks";
import { Empty } from "../ui/Empty";
import { gib, gpuModel } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./TaskPage.module.css";

type GpuUse = Wire<"GpuUse">;

const Charts = lazy(() => import("../gpus/QuantityCharts").then((room) => ({ default: room.QuantityCharts })));
const WEEK_S = 7 * 86_400;

/** What the agent that ran it measured, in all of its time. */
function Use({ use }: { use: GpuUse }) {
  const { t } = useLingui();
  const mean = use.utilization_mean_percent;
  const peak = use.memory_peak_bytes;
  const parts = [
    mean == null ? "" : t`mean utilisation ${Math.round(mean)} %`,
    peak == null ? "" : t`most memory ${gib(peak)} GiB`,
  ].filter(Boolean);
  return parts.length > 0 && <p className={styles["why"]}>{parts.join(" · ")}</p>;
}

interface GpuSinceProps {
  job: string;
  gpuKey: string;
  /** As the try tells it. */
  index: number | null;
  use: GpuUse | undefined;
  from_s: number;
  to_s: number | null;
}

function GpuSince({ job, gpuKey, index, use, from_s, to_s }: GpuSinceProps) {
  const store = useStore();
  const gpu = useEntity("gpus", gpuKey);
  const { data } = useQuery({
    queryKey: ["history", job, gpuKey, from_s, to_s],
    refetchInterval: to_s === null ? 60_000 : false,
    queryFn: ({ signal }) => {
      const to = Math.ceil(to_s ?? store.now_s());
      const from = Math.floor(Math.max(from_s, to - WEEK_S));
      const step = Math.max(60, Math.ceil((to - from) / 400 / 60) * 60);
      return client.get<History>(spool(job, "history"), { query: { gpu: gpuKey, from, to: Math.max(to, from + 60), step }, signal });
    },
  });
  if (!gpu)
    return (
      <Panel title={`GPU ${index ?? gpuKey.split("/").pop() ?? ""}`}>
        {use && <Use use={use} />}
        <p className={styles["why"]}>
          <Trans>No agent of this queue tells of this GPU any more.</Trans>
        </p>
      </Panel>
    );
  return (
    <Panel title={`GPU ${gpu.index}`} aside={gpuModel(gpu.name)}>
      {use && <Use use={use} />}
      <Suspense fallback={<Skeleton rows={3} />}>
        {data && data.series.every((one) => one.mean.every((value) => value === null)) ? (
          <Empty>
            <Trans>Nothing was sampled yet: it is, each half minute, while a console runs.</Trans>
          </Empty>
        ) : data ? (
          <Charts history={data} gpu={gpu} from_s={from_s} to_s={to_s ?? store.now_s()} />
        ) : (
          <Skeleton rows={3} />
        )}
      </Suspense>
    </Panel>
  );
}

/** Is it using them: what its GPUs did since its start. */
export function GpusTab({ job, detail }: { job: string; detail: TaskDetail }) {
  const { row } = detail;
  const last = detail.tries[detail.tries.length - 1];
  const keys = row.gpu_keys.length > 0 ? row.gpu_keys : (last?.gpus ?? []).map((uuid) => `${last?.node ?? ""}/${uuid}`);
  const from_s = row.started_at_s ?? last?.started_at_s ?? null;
  if (keys.length === 0 || from_s === null)
    return (
      <Panel>
        <Empty>
          <Trans>It has had no GPU yet.</Trans>
        </Empty>
      </Panel>
    );
  return (
    <div className={styles["gpus"]}>
      {keys.map((key) => {
        const at = last?.gpus.findIndex((uuid) => key.endsWith(`/${uuid}`)) ?? -1;
        return (
          <GpuSince
            key={key}
            job={job}
            gpuKey={key}
            index={last?.gpu_indices[at] ?? null}
            use={last?.usage.find((one) => key.endsWith(`/${one.uuid}`))}
            from_s={from_s}
            to_s={row.ended_at_s ?? null}
          />
        );
      })}
    </div>
  );
}
