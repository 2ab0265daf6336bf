import { useLingui } from "@lingui/react/macro";

import { Drawer } from "../ui/Drawer";

export function SubmitDrawer({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Drawer title={t`Submit a script`} onClose={onClose}>
      {null}
    </Drawer>
  );
}
