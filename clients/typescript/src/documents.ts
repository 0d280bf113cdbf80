import { InvalidInput } from './errors.js';
import { SELECTION } from './snapshot.js';

export const CREATE = `mutation Create($id: ID!, $input: CreateUserInput!) { createUserIfNotExists(id: $id, input: $input) { created user ${SELECTION} } }`;
export const SET = `mutation Set($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created changed user ${SELECTION} } }`;
export const DELETE = 'mutation Delete($id: ID!) { deleteUser(id: $id) { deleted } }';
export const APP = 'query App { app { id defaultLocale roles { name settings } } }';
export const CHANGED = `subscription Changed($ids: [ID!]!) { usersChanged(ids: $ids) { id user ${SELECTION} } }`;
export const ONLINE = `subscription Online($id: ID!) { userOnlineChanged(id: $id) { isConnected user ${SELECTION} } }`;

const LONE_SURROGATE = /[\ud800-\udfff]/u;

/** Returns the id. Throws `InvalidInput` if no user can have it. */
export function checkId(id: unknown): string {
  if (typeof id !== 'string') throw new InvalidInput('The id of a user is a string.');
  // Of up to 255 characters, which are up to 510 UTF-16 units.
  if (!id || id.length > 510 || (id.length > 255 && [...id].length > 255)) {
    throw new InvalidInput('The id of a user has 1 to 255 characters.');
  }
  if (id.includes('\0') || LONE_SURROGATE.test(id)) {
    throw new InvalidInput('The id of a user has no NUL and no lone surrogates.');
  }
  return id;
}

/** Refuses what JSON would silently leave out or make null of. */
function check(key: string, value: unknown): unknown {
  const type = typeof value;
  if (
    LONE_SURROGATE.test(key) ||
    (type === 'string' && LONE_SURROGATE.test(value as string)) ||
    (type === 'number' && !Number.isFinite(value)) ||
    type === 'function' ||
    type === 'symbol'
  ) {
    throw new InvalidInput(`This cannot be sent: ${key}`);
  }
  return value;
}

/** Returns the payload of a `subscribe` message. Throws `InvalidInput` for what has no JSON form. */
export function encode(query: string, variables: object): string {
  try {
    return JSON.stringify({ query, variables }, check);
  } catch (error) {
    throw error instanceof InvalidInput ? error : new InvalidInput(`This cannot be sent: ${String(error)}`);
  }
}

/** How many bytes a text has in UTF-8, at most. */
export const bytesOf = (text: string): number => (/[^ -~]/.test(text) ? 3 : 1) * text.length;
