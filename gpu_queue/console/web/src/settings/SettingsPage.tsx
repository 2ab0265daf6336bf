import { Trans } from "@lingui/react/macro";

export function SettingsPage() {
  return (
    <h1>
      <Trans>Settings</Trans>
    </h1>
  );
}
