import { checkId } from './documents.js';
import { invalid } from './failures.js';
import { makeSession } from './session.js';
import { ownerOf } from './tokens.js';
import type { Session, SessionOptions } from './types.js';

export * from './errors.js';
export type * from './types.js';

/** The sessions that several parts of a program use without knowing of each other, and by how many of them. */
const SHARED = /* @__PURE__ */ new Map<string, { _session: Session; _holders: number }>();

function readUrl(given: string): string {
  try {
    const url = new URL(given, globalThis.location?.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.hash = '';
    if (/^wss?:$/.test(url.protocol)) return url.href;
  } catch {
    // It is none.
  }
  throw invalid('A url is one like wss://example.com/graphql.');
}

/**
 * Returns the session of this URL and user: the same one each time, which is closed when all who have asked for it have
 * closed it. Where there is one already, only `token` counts, which it uses from now on. `fresh` makes another one; so
 * do tokens (or `onNeedToken`) of which nobody says whose they are.
 */
export function createSession(options: SessionOptions): Session {
  const url = readUrl(options.url);
  const { userId, token, onNeedToken, fresh } = options;
  if (userId !== undefined) checkId(userId);
  const subject = ownerOf(token, userId);
  const owner = userId ?? subject;
  if (fresh || (owner === undefined && (token ?? onNeedToken))) return makeSession({ ...options }, url, owner, false, () => true);
  const key = JSON.stringify([url, owner]);
  const shared = SHARED.get(key) ?? { _holders: 0, _session: makeSession({ ...options }, url, owner, true, () => leave(key)) };
  if (SHARED.has(key) && token !== undefined) shared._session.setToken(token);
  SHARED.set(key, shared);
  shared._holders++;
  return shared._session;
}

/** One holder less; returns whether there is none any more. */
function leave(key: string): boolean {
  return !--SHARED.get(key)!._holders && SHARED.delete(key);
}
