import type { MemberResult } from '@userline/react';
import { useLayoutEffect, useRef, useState } from 'react';
import { Row } from './Row.tsx';

const ROW = 68;
/** How many rows are there beyond what is seen. */
const MARGIN = 4;

/** Shows those rows that can be seen: what nobody sees is not asked who is there. */
export function List({ entries }: { entries: readonly { id: string; result: MemberResult }[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const [[first, last], setRange] = useState<readonly [number, number]>([0, 20]);
  const look = () => {
    const { scrollTop, clientHeight } = frame.current!;
    const from = Math.max(0, Math.floor(scrollTop / ROW) - MARGIN);
    const to = Math.ceil((scrollTop + clientHeight) / ROW) + MARGIN;
    if (from !== first || to !== last) setRange([from, to]);
  };
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(frame.current!);
    return () => observer.disconnect();
  });
  return (
    <div className="list" ref={frame} onScroll={look} tabIndex={0} role="region" aria-label="People">
      <ul style={{ height: entries.length * ROW }}>
        {entries.slice(first, last).map(({ id, result }, index) => (
          <li key={id} style={{ top: (first + index) * ROW, height: ROW }} aria-setsize={entries.length} aria-posinset={first + index + 1}>
            <Row id={id} result={result} />
          </li>
        ))}
      </ul>
    </div>
  );
}
