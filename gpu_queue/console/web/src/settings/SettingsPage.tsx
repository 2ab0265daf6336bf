import { Trans, useLingui } from "@lingui/react/macro";

import { useTitle } from "../ui/hooks";
import { ActionsPanel } from "./ActionsPanel";
import { BrowserPanel } from "./BrowserPanel";
import { ConsolePanels } from "./ConsolePanels";
import styles from "./settings.module.css";

/** Choices of this browser, what this console is and costs, and what was done through it. */
export function SettingsPage() {
  const { t } = useLingui();
  useTitle(t`Settings`);
  return (
    <>
      <h1 className={styles["title"]}>
        <Trans>Settings</Trans>
      </h1>
      <div className={styles["columns"]}>
        <BrowserPanel />
        <div className={styles["column"]}>
          <ConsolePanels />
        </div>
      </div>
      <ActionsPanel />
    </>
  );
}
