// Apollo Client: the recipe, and its link for batches.
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { client } from './apollo.js';
import { exercise } from './exercise.js';
import { gatewayUrl, getToken } from './yours.js';

const fetchPolicy = 'no-cache';
const ask = (which) => async (text, variables) =>
  (await which.query({ query: gql(text), variables, fetchPolicy })).data;

let requests = 0;
// The token is not in the link's context: operations of different contexts do not travel together.
const withToken = async (uri, options) => {
  requests += 1;
  return fetch(uri, { ...options, headers: { ...options.headers, authorization: `Bearer ${await getToken()}` } });
};
const link = new BatchHttpLink({ uri: gatewayUrl.replace(/^ws/, 'http'), batchInterval: 200, fetch: withToken });
const batching = new ApolloClient({ cache: new InMemoryCache(), link });

export const run = () =>
  exercise({
    query: ask(client),
    mutate: async (text, variables) => (await client.mutate({ mutation: gql(text), variables, fetchPolicy })).data,
    batch: async (operations) => {
      const answers = await Promise.all(operations.map((operation) => ask(batching)(...operation)));
      if (requests !== 1) throw new Error(`${requests} requests in place of one`);
      return answers;
    },
    watch: (text, variables, told) => {
      const watching = client.subscribe({ query: gql(text), variables, fetchPolicy }).subscribe(({ data, error }) => {
        if (error) throw error;
        told(data);
      });
      return () => watching.unsubscribe();
    },
  });
