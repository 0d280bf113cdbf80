import { checkId } from './documents.js';
import { invalid } from './failures.js';
import { makeSession } from './session.js';
import { ownerOf } from './tokens.js';
import type { Session, SessionOptions } from './types.js';

export * from './errors.js';
export type * from './types.js';

/** A session that several parts of a program use without knowing of each other, and how many do. */
interface Shared {
  readonly _session: Session;
  _holders: number;
}

const SHARED = /* @__PURE__ */ new Map<string, Shared>();

const readUrl = (given: string): string => {
  try {
    const url = new URL(given, globalThis.location?.href).href.replace(/^http/, 'ws').replace(/#.*/, '');
    if (/^wss?:/.test(url)) return url;
  } catch {
    // It is none.
  }
  throw invalid('The url is not valid.');
};

/**
 * Returns the session of this URL and user: the same one each time, which is closed when all who have asked for it have
 * closed it. Where there is one already, only `token` counts, which it uses from now on. `fresh` makes another one; so
 * do tokens (or `onNeedToken`) of which nobody says whose they are.
 */
export function createSession(options: SessionOptions): Session {
  const url = readUrl(options.url);
  const { userId, token } = options;
  if (userId !== undefined) checkId(userId);
  const owner = ownerOf(token, userId);
  if (options.fresh || (!owner && (token ?? options.onNeedToken))) return makeSession(options, url, owner);
  const key = JSON.stringify([url, owner]);
  const isLast = (): boolean => !--shared!._holders && SHARED.delete(key);
  let shared = SHARED.get(key);
  if (!shared) SHARED.set(key, (shared = { _holders: 0, _session: makeSession(options, url, owner, isLast) }));
  else if (token !== undefined) shared._session.setToken(token);
  shared._holders++;
  return shared._session;
}
