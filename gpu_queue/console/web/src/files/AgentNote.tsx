import { Trans } from "@lingui/react/macro";

import { useJob } from "../shell/job";
import { Command } from "../ui/Empty";
import styles from "./FilesPage.module.css";
import type { JobfileList } from "./requests";

/** What a load starts: tasks; an agent only where the console was told so. What `pid` means to scripts. */
export function AgentNote({ list }: { list: JobfileList }) {
  const job = useJob();
  return (
    <div className={styles["note"]}>
      {list.start_agents ? (
        <p>
          <Trans>Loading queues tasks; where no agent serves {job}, this console starts one on its machine.</Trans>
        </p>
      ) : (
        <p>
          <Trans>Loading queues tasks and starts no agent.</Trans>{" "}
          {list.agents === 0 && <Trans>No agent serves {job}; on a GPU node:</Trans>}
        </p>
      )}
      {!list.start_agents && list.agents === 0 && <Command text={`./submit.sh ${job} 1`} />}
      <details>
        <summary>
          <Trans>What scripts call pid</Trans>
        </summary>
        <p>
          <Trans>
            There is no scheduler process here. In <code>/api/scheduler</code>, <code>pid</code> is a number of this queue: of a task the value of the six hex
            digits of its id, of a load 16,777,216 and more. It is no process id of the operating system.
          </Trans>
        </p>
      </details>
    </div>
  );
}
