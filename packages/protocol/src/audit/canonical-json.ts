/** A value that has one canonical form: no fractions, so that there is one way to write each number. */
export type CanonicalValue =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue | undefined };

/**
 * `value` as JSON in the one form of RFC 8785: keys sorted by UTF-16 code units, no white space; undefined fields are left out.
 * Throws a plain Error for a number that is not a safe integer.
 */
export function canonicalJson(value: CanonicalValue): string {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return JSON.stringify(value);
    throw new Error(`no canonical form: ${value}`);
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(",")}]`;
  let fields = "";
  for (const key of Object.keys(value).sort()) {
    const field = value[key];
    if (field === undefined) continue;
    if (fields !== "") fields += ",";
    fields += `${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `{${fields}}`;
}

/** `Array.isArray` does not know lists that can't be written to. */
function isList(value: object): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}
