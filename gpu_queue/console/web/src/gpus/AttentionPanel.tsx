import { Trans, useLingui } from "@lingui/react/macro";
import { IconAlertTriangle, IconBell, IconEyeOff, IconLogout, IconPlayerPause } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";

import type { Attention } from "../api/types";
import { Elapsed } from "../live/Elapsed";
import { useMap } from "../live/hooks";
import { useJob } from "../shell/job";
import { IconButton } from "../ui/Button";
import { Panel } from "../ui/Panel";
import styles from "./AttentionPanel.module.css";
import { useAttentionWords } from "./attentionWords";
import { useHidden } from "./hidden";

function Sign({ one }: { one: Attention }) {
  const Icon =
    one.severity === "trouble" ? IconAlertTriangle : one.code === "draining" ? IconLogout : one.code === "paused" ? IconPlayerPause : IconBell;
  return (
    <span className={styles[one.severity]}>
      <Icon size={16} stroke={1.8} aria-hidden="true" />
    </span>
  );
}

function Line({ one, onHide }: { one: Attention; onHide: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const { title, text } = useAttentionWords()(one);
  const open = (): void => {
    if (one.gpu) void navigate({ to: ".", search: (old) => ({ ...old, gpu: one.gpu }) });
    else if (one.task) void navigate({ to: "/ui/state/$id", params: { id: one.task } });
    else if (one.node) void navigate({ to: "/ui/gpu", search: { node: one.node } });
  };
  const canOpen = one.gpu !== "" || one.task !== "" || one.node !== "";
  return (
    <li className={styles["line"]} {...(one.task ? { "data-task": one.task } : {})}>
      <Sign one={one} />
      <div className={styles["words"]}>
        {canOpen ? (
          <button type="button" className={styles["title"]} onClick={open}>
            {title}
          </button>
        ) : (
          <span className={styles["title"]}>{title}</span>
        )}
        {text && <p className={styles["text"]}>{text}</p>}
      </div>
      <span className={styles["age"]}>{one.since_at_s != null && <Elapsed since_s={one.since_at_s} short />}</span>
      <IconButton label={t`Hide for a day: ${title}`} className={styles["hide"]} onClick={onHide}>
        <IconEyeOff size={14} />
      </IconButton>
    </li>
  );
}

/** What a person should look at; nothing is shown when there is nothing. */
export function AttentionPanel() {
  const { t } = useLingui();
  const job = useJob();
  const { isHidden, hide, showAll, count } = useHidden();
  const all = Object.entries(useMap("attention") ?? {});
  const idOf = (key: string): string => `${job}/${key}`;
  const shown = all.filter(([key]) => !isHidden(idOf(key)));
  shown.sort(([, a], [, b]) => Number(b.severity === "trouble") - Number(a.severity === "trouble"));
  if (all.length === 0 || (shown.length === 0 && count === 0)) return null;
  const hiddenHere = all.length - shown.length;
  return (
    <Panel aria-label={t`Attention`}>
      <ul>
        {shown.map(([key, one]) => (
          <Line key={key} one={one} onHide={() => hide(idOf(key))} />
        ))}
        {hiddenHere > 0 && (
          <li className={styles["more"]}>
            <button type="button" className={styles["title"]} onClick={showAll}>
              <Trans>{hiddenHere} hidden for a day; show them</Trans>
            </button>
          </li>
        )}
      </ul>
    </Panel>
  );
}
