/** What a run of a part is told. */
export interface SoakOptions {
  /** The same seed makes the same choices. */
  readonly seed: number;
  /** How much of it, 1 by default: 0.1 is a tenth. */
  readonly scale: number;
  /** Progress for who watches, one line. */
  readonly say: (line: string) => void;
}

export interface SoakResult {
  /** What was not as it should be, a line each; empty where it passed. */
  readonly problems: readonly string[];
  /** A table of what was seen, as Markdown; printed. */
  readonly table: string;
  /** Where the table belongs, with its date and seed, once the whole part has passed. */
  readonly page?: SoakPage;
}

/** Either a whole page, or the place between `<!-- soak NAME -->` and `<!-- end of soak NAME -->` of a page. */
export type SoakPage =
  | { readonly path: string; readonly kind: "whole"; readonly text: string }
  | { readonly path: string; readonly kind: "place" };

/** A long test: an entry of `parts` in main.ts, by name. A short sample of each is in ./scripts/test. */
export type SoakPart = (options: SoakOptions) => Promise<SoakResult>;
