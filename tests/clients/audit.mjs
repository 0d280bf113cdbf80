// graphql-http's audit of a GraphQL-over-HTTP server: prints every audit's name and status.
import { auditServer } from 'graphql-http';

const results = await auditServer({ url: `${process.argv[2]}/graphql` });
const audits = results.map(({ id, name, status, reason }) => ({ id, name, status, reason }));
console.log(JSON.stringify({ client: 'graphql-http', audits }));
const failed = audits.filter(({ status }) => status !== 'ok');
for (const { id, name, status, reason } of failed) console.error(`${status} ${id} ${name}: ${reason}`);
process.exit(failed.length ? 1 : 0);
