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

/** Returns the snapshot that a GraphQL `User` is, or null. Throws what is wrong if it is none. */
export const readSnapshot = (user: unknown): UserSnapshot | null => {
  if (user === null) return null;
  const snapshot: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const value = (user as Record<string, unknown>)[field];
    if (value === undefined || (field === 'version' && !/^\d+$/.test(value as string))) throw `no ${field} of a user`;
    snapshot[field] = value;
  }
  // Without a copy of its own: JSON.parse has made it for us alone.
  Object.freeze(snapshot.custom);
  return Object.freeze(snapshot) as unknown as UserSnapshot;
};

type Plain = Readonly<Record<string, unknown>>;

/** Whether two snapshots, or what is made of some, differ in nothing but versions. */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!a || !b || typeof a !== 'object') return false;
  if (a instanceof Map) return isSame([...a], [...(b as typeof a)]);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) =>
        // A custom attribute may have any name, but it is a string, as nothing is that all objects have.
        (key === 'version' && typeof (a as Plain).custom === 'object') ||
        isSame((a as Plain)[key], (b as Plain)[key]),
    )
  );
};
