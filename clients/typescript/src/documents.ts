import { invalid } from './failures.js';
import { SELECTION } from './snapshot.js';

export const CREATE = `mutation($id:ID!,$input:CreateUserInput!){createUserIfNotExists(id:$id,input:$input){created ${SELECTION}}}`;
export const SET = `mutation($id:ID!,$input:SetUserInput!){setUser(id:$id,input:$input){created changed ${SELECTION}}}`;
export const DELETE = 'mutation($id:ID!){deleteUser(id:$id){deleted}}';
export const APP = '{app{id defaultLocale roles{name settings}}}';
export const CHANGED = `subscription($ids:[ID!]!){usersChanged(ids:$ids){id ${SELECTION}}}`;
export const ONLINE = `subscription($id:ID!){userOnlineChanged(id:$id){isConnected ${SELECTION}}}`;

/** Returns the id. Throws `InvalidInput` if no user can have it. */
export const checkId = (id: unknown): string => {
  // With the flag `u`, characters are code points, and surrogates are lone ones.
  if (typeof id === 'string' && /^[^\0\ud800-\udfff]{1,255}$/u.test(id)) return id;
  throw invalid('An id is 1 to 255 valid characters.');
};

/** Refuses what JSON would silently leave out or make null of: throws its key. */
const check = (key: string, value: unknown): unknown => {
  const type = typeof value;
  if (
    /[\ud800-\udfff]/u.test(type === 'string' ? key + ' ' + (value as string) : key) ||
    (type === 'number' && !isFinite(value as number)) ||
    /function|symbol/.test(type)
  ) {
    throw key;
  }
  return value;
};

/** Returns the payload of a `subscribe` message. Throws `InvalidInput` for what has no JSON form. */
export const encode = (query: string, variables: object): string => {
  try {
    return JSON.stringify({ query, variables }, check);
  } catch (error) {
    throw invalid(`This cannot be sent: ${error as string}`);
  }
};

/** How many bytes a text has in UTF-8. Most are ASCII, of which that is known at once. */
export const bytesOf = (text: string): number => (/[^ -~]/.test(text) ? new TextEncoder().encode(text) : text).length;
