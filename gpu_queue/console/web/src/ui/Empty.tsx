import { useLingui } from "@lingui/react/macro";
import { useState, type ReactNode } from "react";

import { Button } from "./Button";
import styles from "./Empty.module.css";

/** Nothing is here: a sentence, and the command that changes it. */
export function Empty({ children, command }: { children: ReactNode; command?: string }) {
  return (
    <div className={styles["empty"]}>
      <p>{children}</p>
      {command !== undefined && <Command text={command} />}
    </div>
  );
}

/** A command to copy. */
export function Command({ text }: { text: string }) {
  const { t } = useLingui();
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <div className={styles["command"]}>
      <code>{text}</code>
      {/* The clipboard is there in secure contexts only: https, or loopback. */}
      {window.isSecureContext && (
        <Button size="small" onClick={() => void copy().catch(() => setCopied(false))}>
          {isCopied ? t`Copied` : t`Copy`}
        </Button>
      )}
    </div>
  );
}
