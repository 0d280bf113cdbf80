// urql: the recipe. It has no batches of its own: operations of one turn are as many requests, and one read.
import { client } from './urql.js';
import { exercise } from './exercise.js';

const requestPolicy = 'network-only';

async function data(result) {
  const { data, error } = await result.toPromise();
  if (error) throw error.networkError ?? Object.assign(error, { errors: error.graphQLErrors });
  return data;
}

export const run = () =>
  exercise({
    query: (text, variables) => data(client.query(text, variables, { requestPolicy })),
    mutate: (text, variables) => data(client.mutation(text, variables)),
    batch: (operations) =>
      Promise.all(operations.map((operation) => data(client.query(...operation, { requestPolicy })))),
    watch: (text, variables, told) => {
      const watching = client.subscription(text, variables).subscribe(({ data, error }) => {
        if (error) throw error;
        told(data);
      });
      return () => watching.unsubscribe();
    },
  });
