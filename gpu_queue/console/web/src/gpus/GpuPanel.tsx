import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { errorWords } from "../api/said";
import type { Gpu, Interval } from "../api/types";
import { Elapsed } from "../live/Elapsed";
import { useEntity, useKeys, useStore } from "../live/hooks";
import { useJob } from "../shell/job";
import { CopyLink } from "../ui/CopyLink";
import { Drawer } from "../ui/Drawer";
import { Empty } from "../ui/Empty";
import { clockTime, dateTime, duration, gib, gpuModel, UNKNOWN } from "../ui/format";
import { Skeleton } from "../ui/Skeleton";
import { StateShape } from "../ui/StateShape";
import { Tabs } from "../ui/Tabs";
import { outcomeWords } from "../ui/outcome";
import { useGpuHistory } from "./gpuHistory";
import styles from "./GpuPanel.module.css";
import { QuantityCharts } from "./QuantityCharts";
import { RANGE_S, RANGES, type Range } from "./search";
import { useTimeline } from "./timeline";
import { USE_WORDS } from "./words";

const PAST_SHOWN = 12;

/** The address may name a GPU by its key or by its UUID alone. */
export function keyOf(asked: string, keys: readonly string[]): string | undefined {
  return keys.includes(asked) ? asked : keys.find((key) => key.endsWith(`/${asked}`));
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="live">{children}</dd>
    </div>
  );
}

function Facts({ gpu }: { gpu: Gpu }) {
  const { t, i18n } = useLingui();
  const { keepalive } = gpu;
  const number = (value: number | null | undefined, unit: string): string => (value == null ? UNKNOWN : `${value.toFixed(0)} ${unit}`);
  const limit = gpu.power_limit_w == null ? "" : ` / ${gpu.power_limit_w.toFixed(0)}`;
  const duty = keepalive?.duty == null ? "" : ` · ${Math.round(keepalive.duty * 100)} %`;
  return (
    <dl className={styles["facts"]}>
      <Fact name={t`state`}>
        <StateShape shape={gpu.use} /> {gpu.use === "task" ? t`task` : i18n._(USE_WORDS[gpu.use])}
      </Fact>
      <Fact name={t`utilisation`}>{number(gpu.utilization_percent, "%")}</Fact>
      <Fact name={t`memory`}>
        {gib(gpu.memory_used_bytes)} / {gib(gpu.memory_total_bytes)} GiB
      </Fact>
      <Fact name={t`power`}>{gpu.power_w == null ? UNKNOWN : `${gpu.power_w.toFixed(0)}${limit} W`}</Fact>
      <Fact name={t`temperature`}>{number(gpu.temperature_c, "°C")}</Fact>
      {keepalive && (
        <Fact name={t`keep-alive`}>
          {keepalive.off_by ? t`off` : keepalive.state}
          {duty}
        </Fact>
      )}
    </dl>
  );
}

function RunningTask({ claim }: { claim: string }) {
  const running = useEntity("running", claim);
  if (!running) return null;
  return (
    <li>
      <StateShape shape="running" />
      <Link to="/ui/state/$id" params={{ id: running.key }}>
        {running.title}
      </Link>
      <span>
        <Elapsed since_s={running.started_at_s} />
        {running.limit_s != null && <> / {duration(running.limit_s)}</>}
      </span>
    </li>
  );
}

function PastTask({ interval }: { interval: Interval }) {
  const shape = interval.is_failure ? "failed" : interval.outcome === "done" ? "done" : "stopped";
  return (
    <li>
      <StateShape shape={shape} label={outcomeWords(interval.outcome)} />
      <Link to="/ui/state/$id" params={{ id: interval.task }}>
        {interval.title || interval.task}
      </Link>
      <span>
        {outcomeWords(interval.outcome)} · {clockTime(interval.from_s, false)} · {duration((interval.to_s ?? interval.from_s) - interval.from_s)}
      </span>
    </li>
  );
}

function Tasks({ gpuKey, gpu, range }: { gpuKey: string; gpu: Gpu; range: Range }) {
  const { lanes } = useTimeline(range);
  const past = (lanes.get(gpuKey)?.intervals ?? []).filter((one) => one.use === "task" && one.task !== "" && one.to_s != null);
  if (gpu.running.length === 0 && past.length === 0) return null;
  return (
    <section className={styles["tasks"]}>
      <h3>
        <Trans>Tasks</Trans>
      </h3>
      <ul>
        {gpu.running.map((claim) => (
          <RunningTask key={claim} claim={claim} />
        ))}
        {past
          .toReversed()
          .slice(0, PAST_SHOWN)
          .map((interval) => (
            <PastTask key={`${interval.task} ${interval.from_s}`} interval={interval} />
          ))}
      </ul>
    </section>
  );
}

function History({ gpuKey, gpu, range }: { gpuKey: string; gpu: Gpu; range: Range }) {
  const store = useStore();
  const history = useGpuHistory(gpuKey, range);
  if (history.error) {
    const problem = errorWords(history.error);
    return (
      <p className={styles["note"]}>
        <Trans>There is no history: {problem}</Trans>
      </p>
    );
  }
  if (!history.data) return <Skeleton rows={4} height_px={118} />;
  const to_s = store.now_s();
  const since = dateTime(history.data.sampled_since_s);
  return (
    <>
      <QuantityCharts history={history.data} gpu={gpu} from_s={to_s - RANGE_S[range]} to_s={to_s} />
      <p className={styles["note"]}>
        {history.data.sampled_since_s == null ? (
          <Trans>Nothing was sampled yet; the console takes a sample each 30 s while it runs.</Trans>
        ) : (
          <Trans>Sampled since {since}; the pale strip is from least to most of each step.</Trans>
        )}
      </p>
    </>
  );
}

/** One GPU: now, over the last hours or days, and whose it was. */
export function GpuPanel({ gpu: asked, onClose }: { gpu: string; onClose: () => void }) {
  const { t } = useLingui();
  const keys = useKeys("gpus");
  const { past: range = "1h" } = useSearch({ from: "__root__" });
  const navigate = useNavigate();
  const job = useJob();
  const setRange = (past: Range): void => void navigate({ to: ".", search: (old) => ({ ...old, past: past === "1h" ? undefined : past }), replace: true });
  const gpuKey = keyOf(asked, keys) ?? asked;
  const gpu = useEntity("gpus", gpuKey);
  const node = useEntity("nodes", gpu?.node ?? "");
  const labels: Record<Range, string> = { "1h": t`1 hour`, "6h": t`6 hours`, "1d": t`1 day`, "7d": t`7 days` };
  if (!gpu) {
    if (keys.length === 0) return null;
    return (
      <Drawer title={t`GPU`} onClose={onClose}>
        <Empty>
          <Trans>No node serves {asked} now.</Trans>
        </Empty>
      </Drawer>
    );
  }
  const index = gpu.index;
  const title = node?.title ?? gpu.node;
  return (
    <Drawer title={t`${title} · GPU ${index}`} onClose={onClose}>
      <p className={styles["model"]}>
        {gpuModel(gpu.name)} <span className="mono">{gpu.uuid}</span>
        <span className={styles["links"]}>
          <Link to="/ui/history" search={{ card: gpuKey }}>
            <Trans>History of 90 days</Trans>
          </Link>
          <CopyLink job={job} />
        </span>
      </p>
      {gpu.problem && <p className={styles["problem"]}>{gpu.problem}</p>}
      <Facts gpu={gpu} />
      <Tabs
        label={t`How far back`}
        current={range}
        onChange={setRange}
        tabs={RANGES.map((one) => ({ id: one, label: labels[one] }))}
        controls="gpu-history"
      />
      <div id="gpu-history" role="tabpanel" aria-label={labels[range]}>
        <History key={range} gpuKey={gpuKey} gpu={gpu} range={range} />
      </div>
      <Tasks gpuKey={gpuKey} gpu={gpu} range={range} />
    </Drawer>
  );
}
