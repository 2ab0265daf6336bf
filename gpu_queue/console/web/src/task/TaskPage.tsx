import { Trans } from "@lingui/react/macro";

export function TaskPage() {
  return (
    <h1>
      <Trans>Task</Trans>
    </h1>
  );
}
