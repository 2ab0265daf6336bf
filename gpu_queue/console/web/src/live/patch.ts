type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Applies a JSON merge patch (RFC 7396). What the patch does not touch is the same object as before, so that whoever
 * looks at a part can tell by `===` whether it changed. A field that is null afterwards is missing.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const next: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key === "__proto__") continue;
    if (value === null) delete next[key];
    else next[key] = mergePatch(next[key], value);
  }
  return next;
}
