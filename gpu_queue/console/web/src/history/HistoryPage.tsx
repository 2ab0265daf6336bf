import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { isAccessError } from "../api/client";
import { UsesBar, UsesLegend } from "../gpus/UsesBar";
import { USE_WORDS } from "../gpus/words";
import { useLiving } from "../live/hooks";
import { TokenPanel } from "../shell/TokenPanel";
import { Banner } from "../ui/Banner";
import { Empty } from "../ui/Empty";
import { dateTime, power, UNKNOWN } from "../ui/format";
import { useTitle } from "../ui/hooks";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./History.module.css";
import { HistoryTable } from "./HistoryTable";
import { LoadChart, PowerChart } from "./LoadCharts";
import { hours, kWh, meanOf, percent } from "./numbers";
import { ORDER } from "./order";
import { RANGE_S, USUAL } from "./search";
import { Tools, useScopeTitle } from "./Tools";
import { useUsage, type Usage, type UseName } from "./usage";
import { UseChart } from "./UseChart";
import { WhoPanels } from "./WhoPanels";

const route = getRouteApi("/ui/history");
const MIDNIGHT = " 00:00";

/** A day alone is called by its date. */
function between(from_s: number, to_s: number): { since: string; until: string | null } {
  const [since, until] = [moment(from_s), moment(to_s)];
  return since.endsWith(MIDNIGHT) && until.endsWith(MIDNIGHT) && to_s - from_s === RANGE_S["1d"] ? { since: since.slice(0, 10), until: null } : { since, until };
}

/** To the minute. */
const moment = (at_s: number | null | undefined): string => dateTime(at_s).slice(0, 16);

function useUseWord(): (use: UseName) => string {
  const { t, i18n } = useLingui();
  return (use) => (use === "task" ? t`tasks` : i18n._(USE_WORDS[use]));
}

/** What all of it comes to, as a sentence. */
function Sentence({ usage }: { usage: Usage }) {
  const total = usage.uses.reduce((sum, one) => sum + one.total_s, 0);
  const task = usage.uses.find((one) => one.use === "task")?.total_s ?? 0;
  const share = percent(task, total);
  const mean = meanOf(usage.mean_percent);
  const load = mean === null ? UNKNOWN : `${mean.toFixed(0)} %`;
  const watts = power(meanOf(usage.power_w));
  const energy = kWh(usage.energy_j);
  const all = hours(total);
  if (total === 0) return <Trans>Nothing is known of that time.</Trans>;
  if (mean === null) return <Trans>Tasks had {share} of {all} GPU-hours.</Trans>;
  return (
    <Trans>
      Tasks had {share} of {all} GPU-hours; utilisation {load} in the mean, {watts}, {energy} kWh.
    </Trans>
  );
}

function Shares({ usage }: { usage: Usage }) {
  const word = useUseWord();
  const by = new Map(usage.uses.map((one) => [one.use, one.total_s]));
  const total = usage.uses.reduce((sum, one) => sum + one.total_s, 0);
  const shown = ORDER.filter((use) => (by.get(use) ?? 0) > 0);
  const parts = shown.map((use) => ({
    use,
    size: by.get(use) ?? 0,
    words: (
      <>
        <b>{percent(by.get(use) ?? 0, total)}</b> {word(use)}
      </>
    ),
  }));
  return (
    <div className={styles["shares"]}>
      <UsesBar parts={parts} />
      <UsesLegend parts={parts} />
    </div>
  );
}

function Figure({ title, here, note, children }: { title: string; here: ReactNode; note?: ReactNode; children: ReactNode }) {
  return (
    <figure className={styles["figure"]}>
      <figcaption>
        <h2>{title}</h2> <span>{here}</span>
      </figcaption>
      {children}
      {note && <p className={styles["note"]}>{note}</p>}
    </figure>
  );
}

function Charts({ usage }: { usage: Usage }) {
  const { t } = useLingui();
  const word = useUseWord();
  const band = useLiving("band");
  const [at, setAt] = useState<number | null>(null);
  const cursor = { onIndex: setAt };
  const here = at === null ? "" : moment(usage.at_s[at]);
  const uses = ORDER.flatMap((use) => {
    const value = at === null ? null : usage.uses.find((one) => one.use === use)?.gpus[at];
    return value ? [`${word(use)} ${value.toFixed(1)}`] : [];
  }).join(" · ");
  const round = (value: number | null | undefined): string => (value == null ? UNKNOWN : value.toFixed(0));
  const mean = round(at === null ? meanOf(usage.mean_percent) : usage.mean_percent[at]);
  const low = round(at === null ? meanOf(usage.low_percent) : usage.low_percent[at]);
  const high = round(at === null ? meanOf(usage.high_percent) : usage.high_percent[at]);
  const watts = power(at === null ? meanOf(usage.power_w) : usage.power_w[at]);
  const energy = kWh(usage.energy_j);
  const seen = moment(usage.seen_since_s);
  const sampled = moment(usage.sampled_since_s);
  const gpus = usage.seen_gpus;
  const bandLow = band?.low ?? 0;
  const bandHigh = band?.high ?? 0;
  const isLate = (since_s: number | null): boolean => since_s !== null && since_s > usage.from_s + usage.step_s;
  return (
    <Panel className={styles["charts"]}>
      <Figure
        title={t`What GPUs were used for`}
        here={at === null ? t`number of GPUs, ${gpus} in all` : `${uses || UNKNOWN} · ${here}`}
        note={isLate(usage.seen_since_s) && <Trans>Seen since {seen}.</Trans>}
      >
        <UseChart usage={usage} cursor={cursor} />
      </Figure>
      <Figure
        title={t`Utilisation`}
        here={
          at === null
            ? usage.spread === "one"
              ? t`mean ${mean} %; the pale strip is from least to most`
              : t`mean ${mean} %; the pale strip holds 8 of 10 GPUs`
            : `${mean} % (${low}–${high}) · ${here}`
        }
        note={
          <>
            {!usage.is_sampled && <Trans>This console keeps no samples (--no-history).</Trans>}
            {usage.is_sampled && usage.sampled_since_s === null && <Trans>Nothing was sampled yet; the console takes a sample each 30 s while it runs.</Trans>}
            {isLate(usage.sampled_since_s) && <Trans>Sampled since {sampled}.</Trans>}{" "}
            {band && (
              <Trans>
                The green strip is where the keep-alive holds a GPU: {bandLow}–{bandHigh} %.
              </Trans>
            )}
          </>
        }
      >
        <LoadChart usage={usage} band={band} cursor={cursor} />
      </Figure>
      <Figure title={t`Power`} here={at === null ? t`${watts} in the mean; ${energy} kWh while it was sampled` : `${watts} · ${here}`}>
        <PowerChart usage={usage} cursor={cursor} />
      </Figure>
      <HistoryTable usage={usage} />
    </Panel>
  );
}

function Body({ usage, error }: { usage: Usage | undefined; error: Error | null }) {
  if (usage) {
    return (
      <>
        <Shares usage={usage} />
        <div className={styles["columns"]}>
          <div className={styles["stack"]}>
            {error && <Banner tone="notice">{error.message}</Banner>}
            <Charts usage={usage} />
          </div>
          <aside className={styles["stack"]}>
            <WhoPanels />
          </aside>
        </div>
      </>
    );
  }
  if (isAccessError(error)) return <TokenPanel />;
  if (error) {
    return (
      <Panel>
        <Empty>{error.message}</Empty>
      </Panel>
    );
  }
  return (
    <div className={styles["columns"]}>
      <Skeleton rows={14} height_px={34} />
      <Skeleton rows={10} height_px={34} />
    </div>
  );
}

/** What GPUs did over days, and for whom. */
export function HistoryPage() {
  const { t } = useLingui();
  const usage = useUsage();
  const title = useScopeTitle();
  const { to, node, range = USUAL } = route.useSearch();
  useTitle(t`History of ${title}`);
  const { since, until } = between((to ?? 0) - RANGE_S[range], to ?? 0);
  return (
    <>
      <header className={styles["head"]}>
        <div>
          <h1>
            <Trans>History of {title}</Trans>
            {to !== undefined && <span className={styles["until"]}>{until === null ? since : t`${since} to ${until}`}</span>}
          </h1>
          <p className={styles["second"]}>
            {usage.data ? <Sentence usage={usage.data} /> : "…"}{" "}
            <Link to="/ui/gpu" search={node === undefined ? {} : { node }} className={styles["back"]}>
              <Trans>What they do now</Trans>
            </Link>
          </p>
        </div>
        <Tools />
      </header>
      <Body usage={usage.data} error={usage.error} />
    </>
  );
}
