import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";

import { spool } from "../api/base";
import { client, isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import type { TaskDetail, Wire } from "../api/types";
import { TokenPanel } from "../shell/TokenPanel";
import { cx } from "../ui/cx";
import { Empty } from "../ui/Empty";
import { fileSize, visible } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import { tokens } from "./highlight";
import styles from "./TaskPage.module.css";

const LINES_MAX = 5000;
/** So much of a commit or a key tells it from others. */
const SHORT = 12;

/** Which code it was submitted with, as far as that is known. */
function CodeLine({ code }: { code: TaskDetail["code"] }) {
  const { t } = useLingui();
  if (!code || (!code.commit && !code.snapshot)) return null;
  return (
    <div className={styles["needs"]}>
      {code.commit && (
        <span title={code.commit}>
          {t`commit`} <b>{code.commit.slice(0, SHORT)}</b> {code.is_dirty && <span className={styles["dim"]}>({t`changed since`})</span>}
        </span>
      )}
      {code.snapshot && (
        <span title={code.snapshot}>
          {t`runs in a copy of snapshot`} <b>{code.snapshot.slice(0, SHORT)}</b> <span className={styles["dim"]}>({visible(code.root)})</span>
        </span>
      )}
    </div>
  );
}

/** What is run, with each need at the line that says it. */
export function ScriptTab({ job, detail }: { job: string; detail: TaskDetail }) {
  const { t } = useLingui();
  const { data, error } = useQuery({
    queryKey: ["script", job, detail.row.key],
    queryFn: ({ signal }) => client.get<Wire<"ScriptText">>(spool(job, "tasks", detail.row.key, "script"), { signal }),
  });
  if (isAccessError(error)) return <TokenPanel />;
  if (error)
    return (
      <Panel>
        <Empty>{errorWords(error)}</Empty>
      </Panel>
    );
  if (!data) return <Skeleton rows={12} height_px={18} />;
  const lines = data.text.split("\n").slice(0, LINES_MAX);
  const asked = new Map<number, string[]>();
  for (const need of detail.needs) {
    if (need.line == null) continue;
    asked.set(need.line, [...(asked.get(need.line) ?? []), `${need.name} ${need.value}`]);
  }
  const elsewhere = detail.needs.filter((need) => need.line == null);
  return (
    <Panel title={detail.script_path || detail.row.title} aside={fileSize(data.size_bytes)}>
      <CodeLine code={detail.code} />
      {elsewhere.length > 0 && (
        <div className={styles["needs"]}>
          {elsewhere.map((need) => (
            <span key={need.name}>
              {need.name} <b>{need.value}</b> <span className={styles["dim"]}>({need.source})</span>
            </span>
          ))}
        </div>
      )}
      <pre className={styles["code"]} tabIndex={0} aria-label={t`Script`}>
        {lines.map((line, at) => {
          const needs = asked.get(at + 1);
          return (
            <div key={at} className={cx(styles["codeLine"], needs && styles["asks"])}>
              <span className={styles["lineNumber"]} data-number={at + 1} aria-hidden />
              <span>
                {tokens(visible(line), data.language).map((one, index) =>
                  one.kind === "" ? (
                    one.text
                  ) : (
                    <span key={index} className={styles[one.kind]}>
                      {one.text}
                    </span>
                  ),
                )}
                {"\n"}
              </span>
              {needs && <span className={styles["note"]}>{needs.join(" · ")}</span>}
            </div>
          );
        })}
      </pre>
      {(data.is_cut || data.text.split("\n").length > LINES_MAX) && (
        <p className={styles["why"]}>
          <Trans>It goes on; its beginning is shown.</Trans>
        </p>
      )}
    </Panel>
  );
}
