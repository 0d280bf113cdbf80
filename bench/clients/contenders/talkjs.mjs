// @talkjs/core, the reference API, against what its protocol has for users: calls are lists with a number of their own.
import { getTalkSession, registerPolyfills } from '@talkjs/core';
import { socketsOf } from '../wire.mjs';

const userOf = (id) => ({
  id,
  name: id,
  custom: { team: 'blue' },
  locale: null,
  photoUrl: null,
  role: 'default',
  welcomeMessage: null,
});

const part = (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url');
const tokenOf = (iss) => `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ tokenType: 'user', iss, sub: 'me', exp: 4_000_000_000 })}.x`;

let opened = 0;

export function open() {
  const Socket = socketsOf((tell, [number, method, path, data]) => {
    if (method === 'ACK') return;
    let answer = {};
    if (path === '/session/renew') answer = { expiresInSeconds: 86_400 };
    else if (method === 'GET' && path === '/users') answer = Object.fromEntries(data.ids.map((id) => [id, userOf(id)]));
    else if (method === 'GET' && path.startsWith('/users/')) answer = userOf(decodeURIComponent(path.slice(7)));
    tell([number, 200, answer]);
  });
  // One application has one session; it asks over HTTP whether there is such an application.
  globalThis.fetch = async () => new Response('{}', { headers: { 'Content-Type': 'application/json' } });
  registerPolyfills({ WebSocket: Socket });
  const apiUrls = { realtimeWsApiUrl: 'ws://server', internalHttpApiUrl: 'http://server/api', restApiHttpUrl: 'http://server/rest' };
  const appId = `bench${++opened}`;
  const session = getTalkSession({ appId, userId: 'me', token: tokenOf(appId), apiUrls });
  return {
    subscribe: (id, listener) => session.user(id).subscribe(listener),
    get: (id) => session.user(id).get(),
    tell: (text) => Socket.last.tell(text),
    event: (id, number) =>
      JSON.stringify([1_000_000 + number, 'PUBLISH', { type: 'user.edited', userId: id, diff: { name: `name ${number}` } }]),
    close: () => session._realtimeClient?.destroy?.(),
  };
}
