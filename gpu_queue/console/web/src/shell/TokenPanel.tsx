import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";

import { ApiError } from "../api/client";
import { errorWords } from "../api/said";
import { Button } from "../ui/Button";
import { Panel } from "../ui/Panel";
import { refusal, showToken } from "./access";
import styles from "./TokenPanel.module.css";

/** Stands in the place of what needs the token. */
export function TokenPanel() {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [token, setToken] = useState("");
  const words = (error: unknown): string => {
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 429) return t`Too many wrong ones: wait a minute.`;
    return status === 401 || status === 403 ? t`This is not the token.` : errorWords(error);
  };
  const [problem, setProblem] = useState(() => {
    const why = refusal();
    if (why === null) return "";
    const isWrong = why instanceof ApiError && (why.status === 401 || why.status === 403);
    return isWrong ? t`The link holds another token than this console's: it was started anew, or is another one.` : words(why);
  });
  const [isBusy, setBusy] = useState(false);

  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await showToken(token.trim());
      await queries.invalidateQueries();
    } catch (error) {
      setProblem(words(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Panel title={t`This needs the token`} className={styles["panel"]}>
      <form className={styles["form"]} onSubmit={(event) => void send(event)}>
        <p>
          <Trans>
            The console printed a link with it when it started; it also lies in <code>~/.config/gpu-queue/console.token</code>{" "}
            of its user.
          </Trans>
        </p>
        <div className={styles["row"]}>
          <input
            type="password"
            aria-label={t`Token`}
            autoComplete="off"
            spellCheck={false}
            value={token}
            aria-invalid={problem !== "" || undefined}
            aria-describedby="token-problem"
            onChange={(event) => setToken(event.target.value)}
          />
          <Button type="submit" variant="primary" disabled={isBusy || token.trim() === ""}>
            <Trans>Show it</Trans>
          </Button>
        </div>
        <p id="token-problem" role="alert" className={styles["problem"]}>
          {problem}
        </p>
      </form>
    </Panel>
  );
}
