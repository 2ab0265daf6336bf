import { Trans } from "@lingui/react/macro";

export function TasksPage() {
  return (
    <h1>
      <Trans>Tasks</Trans>
    </h1>
  );
}
