import { useEffect, useRef, type RefObject } from "react";

/**
 * Shows a `<dialog>` over everything else while it is mounted. The browser keeps the focus inside and gives it back;
 * Escape asks `onClose`. What changes nothing (`data-safe`) gets the focus, else what asks for it (`data-focus`).
 */
export function useModal(onClose: () => void): RefObject<HTMLDialogElement | null> {
  const ref = useRef<HTMLDialogElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    const before = document.activeElement;
    if (!dialog.open) dialog.showModal();
    const first = dialog.querySelector<HTMLElement>("[data-safe]") ?? dialog.querySelector<HTMLElement>("[data-focus]");
    first?.focus();
    const cancel = (event: Event): void => {
      event.preventDefault();
      close.current();
    };
    let pressed: EventTarget | null = null;
    const press = (event: PointerEvent): void => {
      pressed = event.target;
    };
    const click = (event: MouseEvent): void => {
      // Only a press and a release beside the box close it: a selection of text that ends outside does not.
      if (event.target === dialog && pressed === dialog) close.current();
    };
    dialog.addEventListener("cancel", cancel);
    dialog.addEventListener("pointerdown", press);
    dialog.addEventListener("click", click);
    return () => {
      dialog.removeEventListener("cancel", cancel);
      dialog.removeEventListener("pointerdown", press);
      dialog.removeEventListener("click", click);
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return ref;
}
