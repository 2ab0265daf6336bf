import { Trans } from "@lingui/react/macro";

import { useEntity } from "../live/hooks";
import { usePlan } from "../tasks/plan/usePlan";
import { Button } from "../ui/Button";

/** Nothing new starts, or it does again. */
export function PauseButton() {
  const plan = usePlan();
  const isPaused = useEntity("flags", "paused") !== undefined;
  const isDraining = useEntity("flags", "draining") !== undefined;
  return isPaused || isDraining ? (
    <Button onClick={() => plan({ action: "resume" })}>
      <Trans>Resume</Trans>
    </Button>
  ) : (
    <Button onClick={() => plan({ action: "pause" })}>
      <Trans>Pause</Trans>
    </Button>
  );
}
