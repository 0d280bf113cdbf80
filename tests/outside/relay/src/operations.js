// relay-compiler reads these, and writes an artifact for each into generated/.
import { graphql } from 'relay-runtime';

graphql`
  query operationsGetQuery($id: ID!) {
    app {
      id
      defaultLocale
    }
    user(id: $id) {
      id
      name
      photoUrl
      welcomeMessage
    }
  }
`;

graphql`
  query operationsManyQuery($ids: [ID!]!) {
    users(ids: $ids) {
      id
      name
    }
  }
`;

graphql`
  mutation operationsSetMutation($id: ID!, $input: SetUserInput!) {
    setUser(id: $id, input: $input) {
      changed
      user {
        id
        name
        photoUrl
        welcomeMessage
      }
    }
  }
`;

graphql`
  subscription operationsChangedSubscription($ids: [ID!]!) {
    usersChanged(ids: $ids) {
      id
      user {
        id
        name
        photoUrl
        welcomeMessage
      }
    }
  }
`;
