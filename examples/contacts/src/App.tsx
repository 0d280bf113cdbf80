import type { Session } from '@userline/client';
import { UserlineProvider } from '@userline/react';
import type { Network } from './network.ts';
import { Pane } from './Pane.tsx';

/** Who sits at a pane, with a session over a network of its own. */
export interface Seat {
  readonly userId: string;
  readonly session: Session;
  readonly network: Network;
}

export function App({ seats, people }: { seats: readonly Seat[]; people: readonly string[] }) {
  return (
    <>
      <header className="top">
        <h1>Contacts</h1>
        <p>Two sessions, side by side. Edit in one and see it in the other; cut a network, and bring it back.</p>
      </header>
      <main className="panes">
        {seats.map(({ userId, session, network }) => (
          <UserlineProvider key={userId} session={session}>
            <Pane userId={userId} network={network} people={people} />
          </UserlineProvider>
        ))}
      </main>
    </>
  );
}
