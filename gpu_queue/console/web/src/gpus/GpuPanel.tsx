import { Drawer } from "../ui/Drawer";

/** The panel of one GPU. */
export function GpuPanel({ gpu, onClose }: { gpu: string; onClose: () => void }) {
  return (
    <Drawer title={gpu} onClose={onClose}>
      {null}
    </Drawer>
  );
}
