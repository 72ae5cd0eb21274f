import * as v from "valibot";

/** What a field of a schema may look like to this walk; valibot's own types don't say it in one. */
interface Shape {
  readonly type: string;
  readonly wrapped?: Shape;
  readonly item?: Shape;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
}

/** Texts that a schema may want instead of any. */
const STRICT = ["2026-01-01T00:00:00.000Z", "0".repeat(64), "0".repeat(32), "/x", "x"];

/**
 * Values of `schema` that hold `text` wherever any text may stand, with all that is optional; together they have each word of each choice.
 * For tests of what becomes of texts from outside: a field that is added is in them by itself.
 */
export function filledWith<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
): v.InferOutput<Schema>[] {
  const shape = schema as unknown as Shape;
  return Array.from({ length: mostChoices(shape) }, (_, turn) => v.parse(schema, filled(shape, text, turn)));
}

function filled(shape: Shape, text: string, turn: number): unknown {
  switch (shape.type) {
    case "string":
      return [text, ...STRICT].find((each) => v.is(shape as unknown as v.GenericSchema, each));
    case "number":
      return 1;
    case "boolean":
      return turn % 2 === 0;
    case "literal":
      return shape.literal;
    case "picklist":
      return shape.options?.[turn % shape.options.length];
    case "variant":
    case "union":
      return filled(shape.options?.[turn % shape.options.length] as Shape, text, turn);
    case "optional":
      return filled(shape.wrapped as Shape, text, turn);
    case "array":
      return [filled(shape.item as Shape, text, turn)];
    case "object":
      return Object.fromEntries(
        Object.entries(shape.entries ?? {}).map(([name, field]) => [name, filled(field, text, turn)]),
      );
    default:
      throw new Error(`filledWith knows no ${shape.type}`);
  }
}

/** How many values it takes to have each word of each choice. */
function mostChoices(shape: Shape): number {
  const inner = [shape.wrapped, shape.item, ...Object.values(shape.entries ?? {})].filter(
    (each) => each !== undefined,
  );
  const own = shape.type === "boolean" ? 2 : (shape.options?.length ?? 1);
  const below = shape.type === "variant" || shape.type === "union" ? (shape.options as Shape[]) : inner;
  return Math.max(own, ...below.map(mostChoices));
}
