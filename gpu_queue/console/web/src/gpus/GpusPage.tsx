import { Trans } from "@lingui/react/macro";

export function GpusPage() {
  return (
    <h1>
      <Trans>GPUs</Trans>
    </h1>
  );
}
