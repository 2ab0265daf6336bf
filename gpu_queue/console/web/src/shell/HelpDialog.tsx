import { Trans, useLingui } from "@lingui/react/macro";

import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { useShortcuts } from "../ui/keys";
import { usePrefs } from "../ui/prefs";
import styles from "./HelpDialog.module.css";

/** The shortcuts that work on this page. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const { singleKeys } = usePrefs();
  const shown = useShortcuts().filter((one) => singleKeys || one.keys.startsWith("mod+"));
  return (
    <Dialog
      title={t`Keys`}
      onClose={onClose}
      footer={
        <Button isSafe onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
      }
    >
      <table className={styles["keys"]}>
        <tbody>
          {shown.map((one) => (
            <tr key={`${one.keys} ${one.label}`}>
              <th scope="row">
                {one.keys
                  .replace("mod+", "Ctrl ")
                  .split(" ")
                  .map((key, at) => (
                    <kbd key={at}>{key}</kbd>
                  ))}
              </th>
              <td>{one.label}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className={styles["note"]}>
        {singleKeys ? (
          <Trans>Keys without Ctrl can be switched off in the settings.</Trans>
        ) : (
          <Trans>Keys without Ctrl are switched off in the settings.</Trans>
        )}
      </p>
    </Dialog>
  );
}
