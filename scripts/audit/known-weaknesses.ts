import { satisfies, validRange } from "semver";

/** A row of docs/known-weaknesses.md. */
export interface KnownWeakness {
  readonly package: string;
  /** Affected versions, as semver has ranges. */
  readonly range: string;
  /** Who says so. */
  readonly advisory: string;
}

/** What package-lock.json (version 3) says of each installed package, by its place. */
export interface Lock {
  readonly packages: Readonly<Record<string, { readonly name?: string; readonly version?: string }>>;
}

/** The tables of the page. Throws on a range that is none. */
export function readKnownWeaknesses(page: string): readonly KnownWeakness[] {
  return [...page.matchAll(/^\| (\S+) \| `(.+)` \| (.+) \|$/gm)].map(
    ([row, name = "", cell = "", advisory = ""]) => {
      const range = cell.replaceAll("\\|", "|");
      if (validRange(range) === null)
        throw new Error(`docs/known-weaknesses.md has a range that is none: ${row}`);
      return { package: name, range, advisory };
    },
  );
}

/** The versions of a lock that a known weakness is in, one line each, with the place in the tree. */
export function affectedPackages(lock: Lock, weaknesses: readonly KnownWeakness[]): readonly string[] {
  return installedPackages(lock).flatMap(({ place, name, version }) =>
    weaknesses
      .filter(
        (known) => known.package === name && satisfies(version, known.range, { includePrerelease: true }),
      )
      .map(({ range, advisory }) => `${place} ${version} is in ${range}: ${advisory}`),
  );
}

/** Every package of a lock; one that is installed twice is there twice. */
export function installedPackages(
  lock: Lock,
): readonly { readonly place: string; readonly name: string; readonly version: string }[] {
  return Object.entries(lock.packages).flatMap(([place, { name, version }]) => {
    const inside = place.split("node_modules/").at(-1) ?? place;
    return place.includes("node_modules/") && version !== undefined
      ? [{ place, name: name ?? inside, version }]
      : [];
  });
}
