import { Trans } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";

import { Empty } from "../ui/Empty";

export function NotFound() {
  return (
    <Empty>
      <Trans>
        There is no such page. <Link to="/ui/gpu">GPUs</Link>
      </Trans>
    </Empty>
  );
}
