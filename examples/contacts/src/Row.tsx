import type { UserSnapshot } from '@userline/client';
import { useSetUser, useUserOnline, type MemberResult } from '@userline/react';
import { memo, useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from 'react';
import { Avatar } from './Avatar.tsx';

/** A person: rendered again when that person changes, and at no other time. */
export const Row = memo(function Row({ id, result }: { id: string; result: MemberResult }) {
  const [isEditing, setIsEditing] = useState(false);
  const { user } = result;
  if (result.status === 'error') {
    return (
      <div className="row">
        <Avatar id={id} name="" />
        <div className="text">
          <span className="name">Not to be had</span>
          <span className="title">{result.error.message}</span>
        </div>
        <button className="quiet" onClick={result.retry}>
          Again
        </button>
      </div>
    );
  }
  if (!user) {
    return (
      <div className="row" aria-busy={user === undefined}>
        <Avatar id={id} name="" />
        <div className="text">{user === null ? <span className="title">No longer here</span> : <span className="blank" />}</div>
      </div>
    );
  }
  if (isEditing) return <Editor user={user} close={() => setIsEditing(false)} />;
  return (
    <button className="row person" data-id={id} title="Edit" onClick={() => setIsEditing(true)}>
      <Avatar id={id} name={user.name}>
        <Dot id={id} />
      </Avatar>
      <Changing version={`${user.name} ${user.custom.title}`}>
        <span className="name">{user.name}</span>
        <span className="title">
          {user.custom.title}
          {user.custom.team && <span className="team"> · {user.custom.team}</span>}
        </span>
      </Changing>
      <span className="pencil" aria-hidden="true">
        Edit
      </span>
    </button>
  );
});

function Dot({ id }: { id: string }) {
  const { isConnected } = useUserOnline(id);
  return <span className="dot" data-online={isConnected ?? false} role="img" aria-label={isConnected ? 'online' : 'offline'} />;
}

/** Glows for a moment when what is in it has become another. */
function Changing({ version, children }: { version: string; children: React.ReactNode }) {
  const first = useRef(version);
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    if (first.current !== version) setChanges((count) => count + 1);
    first.current = version;
  }, [version]);
  return (
    <span className={changes ? 'text changed' : 'text'} key={changes}>
      {children}
    </span>
  );
}

function Editor({ user, close }: { user: UserSnapshot; close: () => void }) {
  const setUser = useSetUser();
  const [name, setName] = useState(user.name);
  const [title, setTitle] = useState(user.custom.title ?? '');
  const [problem, setProblem] = useState<string>();
  const [isSaving, setIsSaving] = useState(false);
  const save = async (event: FormEvent) => {
    event.preventDefault();
    setIsSaving(true);
    setProblem(undefined);
    try {
      // What somebody else has changed meanwhile, and is not changed here, stays as they have it.
      await setUser(user.id, { name, custom: { title: title || null } });
      close();
    } catch (error) {
      setProblem((error as Error).message);
      setIsSaving(false);
    }
  };
  const leave = (event: KeyboardEvent) => event.key === 'Escape' && close();
  return (
    <form className="row editor" data-id={user.id} onSubmit={save} onKeyDown={leave}>
      <Avatar id={user.id} name={name} />
      <span className="text">
        <input className="name" aria-label="Name" value={name} autoFocus onChange={(event) => setName(event.target.value)} />
        <input className="title" aria-label="Title" value={title} placeholder="Title" onChange={(event) => setTitle(event.target.value)} />
      </span>
      <button className="save" disabled={isSaving}>
        {isSaving ? 'Saving' : 'Save'}
      </button>
      <button className="quiet" type="button" onClick={close} aria-label="Cancel">
        ✕
      </button>
      {problem && (
        <span className="problem" role="alert">
          {problem}
        </span>
      )}
    </form>
  );
}
