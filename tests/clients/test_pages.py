"""The modules in docs/graphql-clients.md do what that page says, over the connections of PROTOCOL.md's recipes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.clients.test_node_clients import HERE, node
from tests.support.recipes import modules

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.gateway import RunningGateway
    from userline.gateway.graphiql import build

__all__ = ["node"]
"""A fixture that is used as it is."""

SETUP = """
import { WebSocket } from 'ws';
globalThis.WebSocket = WebSocket;
export const until = async (reached) => {
  for (let turn = 0; turn < 1000 && !reached(); turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!reached()) throw new Error(`not reached: ${reached}`);
};
export const ids = JSON.parse(process.argv[2]);
"""
APOLLO = """
import { ids, until } from './setup.js';
import { ApolloClient, ApolloLink, gql, InMemoryCache } from '@apollo/client';
import { of } from 'rxjs';
import { client as sockets } from './graphql-ws.js';
import { client as recipe } from './apollo.js';
import { CONTACTS, newestLink, watchContacts } from './apollo-contacts.js';

const client = new ApolloClient({ link: newestLink.concat(recipe.link), cache: new InMemoryCache() });
const set = gql`mutation ($id: ID!, $name: String!) {
  setUser(id: $id, input: { name: $name }) { user { id version name } }
}`;
const remove = gql`mutation ($id: ID!) { deleteUser(id: $id) { deleted } }`;
const show = () => client.readQuery({ query: CONTACTS, variables: { ids } })?.users.map((user) => user && user.name);
const report = [(await client.query({ query: CONTACTS, variables: { ids } })).data.users.map((user) => user.name)];
const watching = watchContacts(client, ids);
const silent = { fetchPolicy: 'no-cache' };
await client.mutate({ mutation: set, variables: { id: ids[0], name: 'A two' }, ...silent });
await until(() => show()?.includes('A two'));
report.push(show());

// A query that is answered late: what it brings is older than what the event brought.
const query = gql`query ($id: ID!) { user(id: $id) { id version name photoUrl } }`;
const answered = (version, name) => {
  const user = { __typename: 'User', id: ids[0], version, name, photoUrl: null };
  const link = newestLink.concat(new ApolloLink(() => of({ data: { user } })));
  const options = { query, variables: { id: ids[0] }, fetchPolicy: 'network-only' };
  return new ApolloClient({ link, cache: client.cache }).query(options);
};
for (const [version, name] of [['9', 'late'], ['9'.repeat(18), 'newest'], ['9'.repeat(17), 'late']]) {
  await answered(version, name);
  report.push(show());
}

await client.mutate({ mutation: remove, variables: { id: ids[1] }, ...silent });
await until(() => show()?.length === 1);
report.push(show());
watching.unsubscribe();
await sockets.dispose();
console.log(JSON.stringify(report));
process.exit();
"""
URQL = """
import { ids, until } from './setup.js';
import { client as sockets } from './graphql-ws.js';
import { client } from './urql.js';
import { watchContacts } from './urql-contacts.js';

const report = [];
const names = (contacts) => [...contacts.values()].map((user) => user?.name ?? null);
const watching = watchContacts(client, ids, (contacts) => report.push(names(contacts)));
await until(() => report.length === 1);
const set = 'mutation ($id: ID!) { setUser(id: $id, input: { name: "A two" }) { changed } }';
await client.mutation(set, { id: ids[0] }).toPromise();
await until(() => report.length === 2);
await client.mutation('mutation ($id: ID!) { deleteUser(id: $id) { deleted } }', { id: ids[1] }).toPromise();
await until(() => report.length === 3);
watching.unsubscribe();
await sockets.dispose();
console.log(JSON.stringify(report));
process.exit();
"""
RELAY = """
import { ids } from './setup.js';
import relay from 'relay-runtime';
import { gatewayUrl } from './yours.js';
import { getDataID } from './relay-environment.js';

const scalar = (name) => ({ alias: null, args: null, kind: 'ScalarField', name, storageKey: null });
const linked = (name, concreteType, args, fields) => ({
  alias: null, args, concreteType, kind: 'LinkedField', name, plural: false, selections: fields.map(scalar),
  storageKey: null,
});
const id = [{ kind: 'Variable', name: 'id', variableName: 'id' }];
const selections = [linked('user', 'User', id, ['id', 'name']), linked('app', 'App', null, ['id', 'defaultLocale'])];
const argumentDefinitions = [{ defaultValue: null, kind: 'LocalArgument', name: 'id' }];
const text = 'query Both($id: ID!) { user(id: $id) { id name } app { id defaultLocale } }';
const request = {
  kind: 'Request',
  fragment: { argumentDefinitions, kind: 'Fragment', metadata: null, name: 'Both', selections, type: 'Query' },
  operation: { argumentDefinitions, kind: 'Operation', name: 'Both', selections },
  params: { cacheID: 'both', id: null, metadata: {}, name: 'Both', operationKind: 'query', text },
};
const report = [];
for (const options of [{ getDataID }, {}]) {
  const network = relay.Network.create(async ({ text: query }, variables) => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ query, variables });
    return (await fetch(gatewayUrl.replace('ws', 'http'), { method: 'POST', headers, body })).json();
  });
  const store = new relay.Store(new relay.RecordSource());
  const environment = new relay.Environment({ network, store, ...options });
  await relay.fetchQuery(environment, request, { id: 'userline' }).toPromise();
  const names = store.getSource().getRecordIDs();
  report.push(names.filter((name) => name.includes('userline') && !name.includes('client:')).sort());
}
console.log(JSON.stringify(report));
process.exit();
"""


def run(node: build.Node, gateway: RunningGateway, script: str, directory: Path) -> list[list[str | None]]:
    """Run a script beside the modules, for two users, and return what it reports."""
    ids = [f"{name}-{uuid4()}" for name in "ab"]
    for user_id, name in zip(ids, ("A", "B"), strict=True):
        gateway.set_user(user_id, name=name)
    yours = f"export const gatewayUrl = '{gateway.websocket_url}';\nexport const getToken = async () => 'none';\n"
    own = {"yours.js": f"{yours}export const tokenSeconds = 600;\n", "setup.js": SETUP, "run.js": script}
    files = modules("PROTOCOL.md", "docs/graphql-clients.md") | own
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "node_modules").symlink_to(HERE / "node_modules")
    command = [str(node.executable), str(directory / "run.js"), json.dumps(ids)]
    done = subprocess.run(command, capture_output=True, text=True, env=node.environment(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report: list[list[str | None]] = json.loads(done.stdout)
    return report


def test_apollo_keeps_a_list_up_to_date(node: build.Node, gateway: RunningGateway, tmp_path: Path) -> None:
    report = run(node, gateway, APOLLO, tmp_path)
    assert report == [["A", "B"], *[["A two", "B"]] * 2, *[["newest", "B"]] * 2, ["newest"]]


def test_urql_keeps_a_list_up_to_date(node: build.Node, gateway: RunningGateway, tmp_path: Path) -> None:
    assert run(node, gateway, URQL, tmp_path) == [["A", "B"], ["A two", "B"], ["A two", None]]


def test_relay_keeps_a_user_and_the_app_apart(node: build.Node, gateway: RunningGateway, tmp_path: Path) -> None:
    """Who has the same id as the app is one record with it, unless Relay is told better."""
    gateway.set_user("userline", name="A user with the name of the app")
    assert run(node, gateway, RELAY, tmp_path) == [["App:userline", "User:userline"], ["userline"]]
