// graphql-http's audit of a GraphQL-over-HTTP server: prints every audit's name and status. Arguments: URL, and a token.
import { auditServer } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const withToken = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
const results = await auditServer({ url: `${url}/graphql`, fetchFn: token ? withToken : fetch });
const audits = results.map(({ id, name, status, reason }) => ({ id, name, status, reason }));
console.log(JSON.stringify({ client: 'graphql-http', audits }));
const failed = audits.filter(({ status }) => status !== 'ok');
for (const { id, name, status, reason } of failed) console.error(`${status} ${id} ${name}: ${reason}`);
process.exit(failed.length ? 1 : 0);
