import { useSession, useSessionStatus, useUser, useUsers } from '@userline/react';
import { useMemo, useState } from 'react';
import { Avatar } from './Avatar.tsx';
import { List } from './List.tsx';
import type { Network } from './network.ts';

const STATUS = {
  idle: 'Idle',
  connecting: 'Connecting',
  connected: 'Live',
  reconnecting: 'No connection',
  failed: 'Signed out',
  closed: 'Closed',
} as const;

export function Pane({ userId, network, people }: { userId: string; network: Network; people: readonly string[] }) {
  const { user } = useUser(userId);
  const name = user?.name ?? '';
  const results = useUsers(people);
  const [search, setSearch] = useState('');
  const wanted = search.trim().toLowerCase();
  const found = useMemo(
    () =>
      people
        .map((id, index) => ({ id, result: results[index]! }))
        .filter(({ result }) => {
          const { user } = result;
          return !wanted || (user && `${user.name} ${user.custom.title} ${user.custom.team}`.toLowerCase().includes(wanted));
        }),
    [people, results, wanted],
  );
  return (
    <section className="pane" aria-label={name ? `${name}'s contacts` : 'Contacts'}>
      <header className="seat">
        <Avatar id={userId} name={name} />
        <div className="who">
          <strong>{name || ' '}</strong>
          <Status />
        </div>
        <NetworkSwitch network={network} />
      </header>
      <div className="search">
        <input
          type="search"
          placeholder={`Search ${people.length} people`}
          aria-label="Search people"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </div>
      {found.length ? <List key={wanted} entries={found} /> : <p className="none">Nobody is called “{search.trim()}”.</p>}
    </section>
  );
}

function Status() {
  const status = useSessionStatus();
  return (
    <span className="status" data-status={status} role="status">
      {STATUS[status]}
    </span>
  );
}

function NetworkSwitch({ network }: { network: Network }) {
  const session = useSession();
  const [isCut, setIsCut] = useState(network.isCut);
  const change = () => {
    network.cut(!isCut);
    setIsCut(!isCut);
    // Browsers tell when a network is back, and sessions listen; this one is ours, so that we tell.
    if (isCut) session.reconnect();
  };
  return (
    <label className="switch">
      <span>Network</span>
      <input type="checkbox" role="switch" checked={!isCut} onChange={change} />
    </label>
  );
}
