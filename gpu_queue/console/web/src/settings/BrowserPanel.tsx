import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";

import { preferredLanguage, showLanguage } from "../i18n";
import { useJob, useSpools } from "../shell/job";
import { Panel } from "../ui/Panel";
import { prefs, usePrefs, type Language, type Theme } from "../ui/prefs";
import { Row } from "./Row";
import styles from "./settings.module.css";

function JobRow() {
  const job = useJob();
  const navigate = useNavigate();
  const spools = useSpools();
  const names = [...new Set([job, ...(spools.data?.spools ?? []).map((one) => one.job)])];
  return (
    <Row label="JOB_ID" labelFor="set-job" hint={<Trans>Which queue is shown; the last one is remembered.</Trans>}>
      <select id="set-job" value={job} onChange={(event) => void navigate({ to: ".", search: (old) => ({ ...old, job: event.target.value }) })}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </Row>
  );
}

/** What is chosen in this browser. */
export function BrowserPanel() {
  const { t } = useLingui();
  const { theme, singleKeys, refresh_s } = usePrefs();
  const setLanguage = (language: Language): void => {
    prefs.set({ language });
    void showLanguage(language);
  };
  return (
    <Panel title={t`This browser`} className={styles["panel"]}>
      <JobRow />
      <Row label={t`Language`} labelFor="set-language">
        <select id="set-language" value={preferredLanguage()} onChange={(event) => setLanguage(event.target.value === "zh" ? "zh" : "en")}>
          <option value="en" lang="en">
            English
          </option>
          <option value="zh" lang="zh-CN">
            中文
          </option>
        </select>
      </Row>
      <Row label={t`Theme`} labelFor="set-theme">
        <select
          id="set-theme"
          value={theme ?? ""}
          onChange={(event) => prefs.set({ theme: (event.target.value || null) as Theme | null })}
        >
          <option value="">{t`as the system`}</option>
          <option value="dark">{t`dark`}</option>
          <option value="light">{t`light`}</option>
        </select>
      </Row>
      <Row label={t`Refresh`} labelFor="set-refresh" hint={<Trans>How often numbers are drawn anew. A longer time is quieter; nothing is missed.</Trans>}>
        <select id="set-refresh" value={refresh_s} onChange={(event) => prefs.set({ refresh_s: Number(event.target.value) })}>
          <option value={0}>{t`as they come`}</option>
          <option value={5}>{t`each 5 s`}</option>
          <option value={15}>{t`each 15 s`}</option>
          <option value={60}>{t`each minute`}</option>
        </select>
      </Row>
      <Row label={t`Shortcuts`} hint={<Trans>Single keys like j, k, s. Ctrl K works all the same; ? lists all of them.</Trans>}>
        <label className={styles["check"]}>
          <input type="checkbox" checked={singleKeys} onChange={(event) => prefs.set({ singleKeys: event.target.checked })} />
          <Trans>single keys are shortcuts</Trans>
        </label>
      </Row>
    </Panel>
  );
}
