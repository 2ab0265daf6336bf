import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { basePath } from "../api/base";
import { errorWords } from "../api/said";
import type { ConsoleInfo } from "../api/types";
import { forgetToken } from "../shell/access";
import { useConsoleInfo } from "../shell/console";
import { TokenPanel } from "../shell/TokenPanel";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { duration, fileSize, UNKNOWN } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import { Row } from "./Row";
import styles from "./settings.module.css";

function rate(value: number): string {
  return value >= 9.95 ? value.toFixed(0) : value.toFixed(1);
}

function Cost({ cost }: { cost: NonNullable<ConsoleInfo["cost"]> }) {
  const { t } = useLingui();
  const listings = rate(cost.listings_per_s);
  const opens = rate(cost.opens_per_s);
  const took = cost.refresh_s == null ? UNKNOWN : `${(cost.refresh_s * 1000).toFixed(0)} ms`;
  return (
    <Panel title={t`What looking costs`} className={styles["panel"]}>
      <Row label={t`Shared directory`} hint={<Trans>Over the last minute, for all who look on together; nothing while nobody does.</Trans>}>
        <Trans>
          {listings} listings, {opens} opens a second
        </Trans>
      </Row>
      <Row label={t`Last look`}>
        {took}
        {cost.snapshot_age_s != null && (
          <>
            {" · "}
            <Trans>{duration(cost.snapshot_age_s)} old</Trans>
          </>
        )}
      </Row>
      <Row label={t`Streams`}>{cost.streams}</Row>
      <Row label={t({ message: "Memory", context: "of the console" })}>{fileSize(cost.resident_bytes)}</Row>
    </Panel>
  );
}

function Access({ info }: { info: ConsoleInfo }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [problem, setProblem] = useState("");
  const forget = async (): Promise<void> => {
    setProblem("");
    await forgetToken();
    await queries.invalidateQueries();
  };
  return (
    <Row label={t`Allowed`}>
      {info.is_read_only ? (
        <Trans>This console only shows; it changes nothing.</Trans>
      ) : info.has_access ? (
        <Trans>This browser may change the queue and read logs and scripts.</Trans>
      ) : (
        <Trans>This browser may look on; changes, logs and scripts need the token.</Trans>
      )}
      {info.has_access && info.needs_token && (
        <div>
          <Button size="small" onClick={() => void forget().catch((error: unknown) => setProblem(errorWords(error)))}>
            <Trans>Forget the token in this browser</Trans>
          </Button>
          <p role="alert">{problem}</p>
        </div>
      )}
    </Row>
  );
}

/** What this console is, what it may do, what it costs. */
export function ConsolePanels() {
  const { t } = useLingui();
  const info = useConsoleInfo();
  if (info.isPending) return <Skeleton rows={6} />;
  if (info.isError) return <Empty>{errorWords(info.error)}</Empty>;
  const { version, user, host, queue_root, log_roots, history, has_access, needs_token, cost } = info.data;
  return (
    <>
      {!has_access && needs_token && <TokenPanel />}
      <Panel title={t`This console`} className={styles["panel"]}>
        <Access info={info.data} />
        <Row label={t`Version`}>{version}</Row>
        <Row label={t`Runs as`}>
          <Trans>
            {user} on {host}
          </Trans>
        </Row>
        <Row label={t`Queue root`}>
          <code>{queue_root}</code>
        </Row>
        {basePath !== "/" && (
          <Row label={t`Base path`}>
            <code>{basePath}</code>
          </Row>
        )}
        <Row label={t`Folders of logs`}>
          {log_roots.length === 0 ? (
            <Trans>the queue's own only</Trans>
          ) : (
            log_roots.map((root) => (
              <div key={root}>
                <code>{root}</code>
              </div>
            ))
          )}
        </Row>
        <Row label={t`History`}>{history ? <Trans>kept: a week by minute, 90 days by quarter hour</Trans> : <Trans>not kept</Trans>}</Row>
      </Panel>
      {cost && <Cost cost={cost} />}
    </>
  );
}
