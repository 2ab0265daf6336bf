/** Tells every part of this page that the browser may now do more, or less. */
export const ACCESS_CHANGED = "gpuq-access-changed";
