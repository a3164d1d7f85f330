// The one way in which packages that a user may not have are loaded; handed in, so that tests can say what is there.

/** How an optional package is loaded: `import()` in production. */
export type Load = (packageName: string) => Promise<unknown>;

export const loadOptional: Load = (packageName) => import(packageName);
