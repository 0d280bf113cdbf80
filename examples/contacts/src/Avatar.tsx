import type { CSSProperties, ReactNode } from 'react';

/** The initials of a name, on a colour that stays with the id. */
export function Avatar({ id, name, children }: { id: string; name: string; children?: ReactNode }) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.codePointAt(0)!) % 65521;
  const hue = Math.round(hash * 137.508) % 360; // neighbours lie far from each other
  const words = name.split(/\s+/).filter(Boolean);
  const initials = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => (word ? [...word][0] : '')).join('');
  return (
    <span className="avatar" style={{ '--hue': hue } as CSSProperties}>
      <span aria-hidden="true">{initials.toUpperCase()}</span>
      {children}
    </span>
  );
}
