import { Plural, Trans } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";

import { Remaining } from "../live/Elapsed";
import { useEntity, useLiving, useMap } from "../live/hooks";
import { useConsoleInfo } from "../shell/console";
import buttonStyles from "../ui/Button.module.css";
import { cx } from "../ui/cx";
import { thousands } from "../ui/format";
import styles from "./Headline.module.css";
import { PauseButton } from "./PauseButton";
import { QueueMenu } from "./QueueMenu";
import { endsFirst, occupation } from "./summary";
import { useSaid } from "./words";

/** What ends next, where nothing waits. */
function EndsNext() {
  const running = useMap("running");
  const first = endsFirst(running ?? {});
  if (!first) return <Trans>Nothing waits</Trans>;
  const title = first.title;
  return (
    <Trans>
      Nothing waits; {title} ends in <Remaining until_s={first.at_s} /> at the latest
    </Trans>
  );
}

/** How many wait, and what the first of them waits for. */
function WaitingSentence({ first }: { first: string }) {
  const said = useSaid();
  const count = useLiving("counts")?.waiting ?? 1;
  const task = useEntity("waiting", first);
  const number = thousands(count);
  const title = task?.title ?? first;
  const why = task?.why[0];
  const waiting = <Plural value={count} one={`${number} task waits`} other={`${number} tasks wait`} />;
  if (!why) return <Trans>{waiting}; {title} is first</Trans>;
  const reason = said(why.text);
  return (
    <Trans>
      {waiting}; {title} is first: {reason}
    </Trans>
  );
}

function SecondLine() {
  const first = useLiving("waiting_order")?.[0];
  return first === undefined ? <EndsNext /> : <WaitingSentence first={first} />;
}

/** The state of the queue as a sentence, and what can be done with all of it. */
export function Headline() {
  const gpus = useMap("gpus");
  const info = useConsoleInfo();
  const { total, by } = occupation(gpus ?? {});
  const busy = by.task;
  const isReadOnly = info.data?.is_read_only ?? false;
  return (
    <header className={styles["head"]}>
      <div>
        <h1 className="live">
          {total === 0 && <Trans>No GPU is served</Trans>}
          {total > 0 && <Plural value={total} one={<Trans>{busy} of 1 GPU runs tasks</Trans>} other={<Trans>{busy} of {total} GPUs run tasks</Trans>} />}
        </h1>
        <p className={styles["second"]}>
          <SecondLine />
        </p>
      </div>
      {!isReadOnly && (
        <div className={styles["buttons"]}>
          <PauseButton />
          <Link
            to="."
            search={(old) => ({ ...old, submit: true as const })}
            className={cx(buttonStyles["button"], buttonStyles["primary"], styles["link"])}
          >
            <Trans>Submit a script</Trans>
          </Link>
          <QueueMenu />
        </div>
      )}
    </header>
  );
}
