import { Trans } from "@lingui/react/macro";

import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";

/** A part of the page broke; after an update of the console, an old page asks for files that are gone. */
export function PageError({ error }: { error: unknown }) {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <Empty>
      <Trans>This page could not be shown: {message}</Trans>
      <br />
      <br />
      <Button onClick={() => location.reload()}>
        <Trans>Load it anew</Trans>
      </Button>
    </Empty>
  );
}
