import { checkId } from './documents.js';
import { InvalidInput } from './errors.js';
import { Core } from './session.js';
import { readClaims, subjectOf } from './tokens.js';
import type { Session, SessionOptions } from './types.js';

export * from './errors.js';
export type * from './types.js';

/** The sessions that several parts of a program use without knowing of each other. */
const SHARED = /* @__PURE__ */ new Map<string, Core>();

function readUrl(given: string): string {
  try {
    const url = new URL(given, globalThis.location?.href);
    url.protocol = url.protocol.replace(/^http/, 'ws');
    url.hash = '';
    if (/^wss?:$/.test(url.protocol)) return url.href;
  } catch {
    // It is none.
  }
  throw new InvalidInput('The URL of a gateway is one like wss://users.example.com/graphql.');
}

/**
 * Returns the session of this URL and user: the same one each time, which is closed when all who have asked for it have
 * closed it. Where there is one already, only `token` counts, which it uses from now on. `fresh` makes another one; so
 * do tokens (or `onNeedToken`) of which nobody says whose they are.
 */
export function createSession(options: SessionOptions): Session {
  const url = readUrl(options.url);
  const { userId, token, onNeedToken } = options;
  if (userId !== undefined) checkId(userId);
  const subject = token === undefined ? undefined : subjectOf(readClaims(token));
  if (userId !== undefined && subject !== undefined && subject !== userId) {
    throw new InvalidInput('The token is not that of this user.');
  }
  const owner = userId ?? subject;
  const fresh = options.fresh || (owner === undefined && !!(token ?? onNeedToken));
  const key = JSON.stringify([url, owner]);
  let session = fresh ? undefined : SHARED.get(key);
  if (!session) {
    session = new Core({ ...options }, url, owner, () => fresh || SHARED.delete(key));
    if (!fresh) SHARED.set(key, session);
  } else if (token !== undefined && token !== session._tokens._current) session.setToken(token);
  if (!fresh) session._holders++;
  return session as Core & Session;
}
