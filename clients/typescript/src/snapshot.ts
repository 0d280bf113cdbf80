import type { UserSnapshot } from './types.js';

const FIELDS = [
  'id',
  'version',
  'name',
  'custom',
  'locale',
  'effectiveLocale',
  'photoUrl',
  'role',
  'welcomeMessage',
] as const;

/** What documents ask of a user. */
export const SELECTION = `user{${FIELDS.join(' ')}}`;

/** Returns the snapshot that a GraphQL `User` is, or null. Throws TypeError if it is none. */
export function readSnapshot(user: unknown): UserSnapshot | null {
  if (user === null) return null;
  const snapshot: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const value = (user as Record<string, unknown>)[field];
    if (value === undefined || (field === 'version' && !/^\d+$/.test(value as string))) throw new TypeError(`no ${field} of a user`);
    snapshot[field] = value;
  }
  // Without a copy of its own: JSON.parse has made it for us alone.
  Object.freeze(snapshot.custom);
  return Object.freeze(snapshot) as unknown as UserSnapshot;
}

/** Whether two snapshots differ in nothing but their versions. */
export function isSame(a: UserSnapshot | null | undefined, b: UserSnapshot | null | undefined): boolean {
  if (a === b) return true;
  if (!a || !b) return false;
  for (const field of FIELDS) {
    if (field !== 'version' && field !== 'custom' && a[field] !== b[field]) return false;
  }
  const keys = Object.keys(a.custom);
  return (
    keys.length === Object.keys(b.custom).length &&
    keys.every((key) => Object.hasOwn(b.custom, key) && a.custom[key] === b.custom[key])
  );
}
