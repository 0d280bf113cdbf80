// What the recipes of PROTOCOL.md import, and what asks the test for something.
export const id = `browser 🙂 ${Date.now()}`;
export const gatewayUrl = `${location.origin.replace('http', 'ws')}/graphql`;
// The recipe believes that its tokens last for an hour. It does not renew them, so that it meets the end of one.
export const tokenSeconds = 3600;

let seconds = 3600;
export const lasting = (given) => (seconds = given);

export async function control(path, given = {}) {
  const answer = await fetch(`${globalThis.controlUrl}${path}?${new URLSearchParams(given)}`);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(text);
  return text;
}

export const getToken = () => control('/token', { user: id, seconds });
