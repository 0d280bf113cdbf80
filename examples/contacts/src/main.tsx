import { createSession } from '@userline/client';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App, type Seat } from './App.tsx';
import { Network } from './network.ts';
import './style.css';

/** What the example's server says: where the gateway is, who there is, and who sits at the two panes. */
interface Configuration {
  readonly gateway: string;
  readonly people: readonly string[];
  readonly seats: readonly string[];
}

const { gateway, people, seats } = (await (await fetch('configuration.json')).json()) as Configuration;

// A session for each pane, as if these were two browsers. An application has one, made once, outside of components.
const taken = seats.map((userId): Seat => {
  const network = new Network();
  const session = createSession({
    url: gateway,
    userId,
    WebSocket: network.WebSocket,
    onNeedToken: async () => (await fetch(`token?user=${encodeURIComponent(userId)}`)).text(),
  });
  return { userId, session, network };
});

createRoot(document.getElementById('app')!).render(
  <StrictMode>
    <App seats={taken} people={people} />
  </StrictMode>,
);
