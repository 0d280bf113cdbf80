import client = require('@userline/client');

const session: client.Session = client.createSession({ url: 'ws://127.0.0.1:8000/graphql' });
const peeked: client.UserSnapshot | null | undefined = session.user('ann').peek();
console.log(peeked, new client.InvalidInput('no').code);
