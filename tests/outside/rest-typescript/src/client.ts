import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './generated/api.js';

const control = process.env['USERLINE_CONTROL'];
const token = await (await fetch(`${control}/token`)).text();
const client = createClient<paths>({
  baseUrl: process.env['USERLINE_URL']!,
  headers: { authorization: `Bearer ${token}` },
});

const id = 'rest/typescript 🙂';
const params = { path: { appId: 'userline', id } } as const;
const put = async (body: components['schemas']['UserPatch']) => {
  const { data, error } = await client.PUT('/v1/{appId}/users/{id}', { params, body });
  assert.equal(error, undefined);
  return data!;
};
const get = async () => (await client.GET('/v1/{appId}/users/{id}', { params })).data!;
const done = (what: string) => console.log(`done: ${what}`);

assert.deepEqual(
  await put({
    name: 'Ann',
    photoUrl: 'https://example.com/ä.png',
    welcomeMessage: 'Hello',
    email: ['ann@example.com'],
    custom: { a: '1', b: '2' },
    pushTokens: { 'fcm:x': true },
  }),
  { created: true, changed: true },
);
done('create');

const user = await get();
assert.deepEqual([user.id, user.custom, user.pushTokens], [id, { a: '1', b: '2' }, { 'fcm:x': true }]);
done('get');

assert.deepEqual(await put(user), { created: false, changed: false });
done('put what was read');

await put({ locale: 'pt-BR', custom: { a: null } });
assert.deepEqual({ ...(await get()), version: '', updatedAt: 0 }, { ...user, locale: 'pt-BR', custom: { b: '2' }, version: '', updatedAt: 0 });
done('patch');

await put({ photoUrl: null, email: null, pushTokens: { 'fcm:x': null } });
const after = await get();
assert.deepEqual([after.photoUrl, after.email, after.pushTokens, after.welcomeMessage], [null, [], {}, 'Hello']);
done('null');

const several = await client.PUT('/v1/{appId}/users', {
  params: { path: { appId: 'userline' } },
  body: { [id]: { name: 'Bob' }, 'rest/typescript 2': { name: 'Two' } },
});
assert.deepEqual(several.data?.[id], { created: false, changed: true });
done('batch');

const exists = await client.PUT('/v1/{appId}/users/{id}', {
  params: { ...params, header: { 'If-None-Match': '*' } },
  body: { name: 'Another' },
});
assert.equal(exists.error?.errorCode, 'PRECONDITION_FAILED');
done('condition');

assert.deepEqual((await client.DELETE('/v1/{appId}/users/{id}', { params })).data, { deleted: true });
assert.equal((await client.GET('/v1/{appId}/users/{id}', { params })).error?.errorCode, 'NOT_FOUND');
done('delete');

const { error } = await client.PUT('/v1/{appId}/users/{id}', { params, body: { name: '', locale: 'x_y' } });
assert.equal(error?.errorCode, 'BAD_USER_INPUT');
assert.equal(error?.reasons.length, 2);
done('error');
