import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { IconMoon, IconSearch, IconSun } from "@tabler/icons-react";

import { preferredLanguage, showLanguage } from "../i18n";
import { IconButton } from "../ui/Button";
import { Chip } from "../ui/Chip";
import { cx } from "../ui/cx";
import { prefs, usePrefs } from "../ui/prefs";
import { useIsReadOnly } from "./console";
import { InstanceMenu } from "./InstanceMenu";
import { Mark } from "./Mark";
import { MORE_PAGES, PAGES } from "./pages";
import { StreamState } from "./StreamState";
import { shownTheme } from "./theme";
import styles from "./TopBar.module.css";

const MORE = Object.fromEntries(MORE_PAGES.map((page) => [page.to, true]));
/** What is looked at comes first, what is set up last. */
const TOP_PAGES = [...PAGES.slice(0, 3), MORE_PAGES[1], MORE_PAGES[0], ...PAGES.slice(3)];

function ThemeButton() {
  const { t } = useLingui();
  usePrefs();
  const isDark = shownTheme() === "dark";
  return (
    <IconButton label={isDark ? t`Light theme` : t`Dark theme`} onClick={() => prefs.set({ theme: isDark ? "light" : "dark" })}>
      {isDark ? <IconSun size={18} stroke={1.6} /> : <IconMoon size={18} stroke={1.6} />}
    </IconButton>
  );
}

function LanguageButton() {
  usePrefs();
  const isEnglish = preferredLanguage() === "en";
  const change = (): void => {
    const language = isEnglish ? "zh" : "en";
    prefs.set({ language });
    void showLanguage(language);
  };
  return (
    <IconButton label={isEnglish ? "中文" : "EN (English)"} onClick={change} lang={isEnglish ? "zh-CN" : "en"}>
      <span aria-hidden="true">{isEnglish ? "中" : "EN"}</span>
    </IconButton>
  );
}

export function TopBar({ hasJob, onFind }: { hasJob: boolean; onFind: () => void }) {
  const { t, i18n } = useLingui();
  const isReadOnly = useIsReadOnly() === true;
  return (
    <header className={styles["bar"]}>
      <div className={styles["inner"]}>
        <Link to="/ui/gpu" className={styles["mark"]} aria-label="gpu-queue">
          <Mark />
          <span className={styles["name"]}>gpu-queue</span>
        </Link>
        <InstanceMenu />
        <nav className={styles["links"]} aria-label={t`Pages`}>
          {TOP_PAGES.map((page) => (
            <Link
              key={page.to}
              to={page.to}
              className={cx(styles["link"], page.to in MORE && styles["more"])}
              activeOptions={{ includeSearch: false }}
            >
              {i18n._(page.label)}
            </Link>
          ))}
        </nav>
        <div className={styles["tools"]}>
          {isReadOnly && <Chip title={t`This console was started with --read-only: it shows, and changes nothing.`}>{t`read only`}</Chip>}
          {hasJob && (
            <>
              <StreamState />
              <IconButton label={t`Find (Ctrl K)`} onClick={onFind}>
                <IconSearch size={18} stroke={1.6} />
              </IconButton>
            </>
          )}
          <ThemeButton />
          <LanguageButton />
        </div>
      </div>
    </header>
  );
}

/** The links below 720 px. */
export function FootBar() {
  const { t, i18n } = useLingui();
  return (
    <nav className={styles["foot"]} aria-label={t`Pages`}>
      {PAGES.map((page) => (
        <Link key={page.to} to={page.to} className={styles["link"]} activeOptions={{ includeSearch: false }}>
          {i18n._(page.label)}
        </Link>
      ))}
    </nav>
  );
}
