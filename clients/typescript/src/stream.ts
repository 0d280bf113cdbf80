import type { WebSocketLike } from './types.js';

interface Message {
  id: string;
  type: string;
  payload?: { Authorization?: string };
}

/**
 * Stands in for a socket where none can be had: each operation is a POST whose answer is a stream of server-sent events.
 * It takes and gives the messages of graphql-transport-ws, so that nobody notices.
 */
export class StreamSocket implements WebSocketLike {
  readonly protocol = 'graphql-transport-ws';
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly _url: string;
  /** What is under way: operations by their ids, and probes. */
  readonly _running = new Map<string | AbortController, AbortController>();
  _token: string | undefined = undefined;
  _isOver = false;

  constructor(url: string) {
    this._url = url.replace(/^ws/, 'http');
    queueMicrotask(() => this.onopen?.({} as never));
  }

  send(text: string): void {
    const { id, type, payload } = JSON.parse(text) as Message;
    if (type === 'complete') {
      this._running.get(id)?.abort();
      this._running.delete(id);
    } else if (type === 'subscribe') void this._run(id, payload);
    else if (type === 'connection_init') {
      this._token = payload?.Authorization;
      // A browser opens six connections to a host that knows HTTP/1.1 alone.
      void this._probe({ type: 'connection_ack', payload: { limits: { subscriptions: 8 } } });
    } else if (payload) this.close(1012, 'retry after 0 s'); // streams keep their token until they end
    else if (type === 'ping') void this._probe({ type: 'pong' });
  }

  close(code = 1000, reason = ''): void {
    if (this._isOver) return;
    this._isOver = true;
    for (const controller of this._running.values()) controller.abort();
    this._running.clear();
    this.onclose?.({ code, reason } as never);
  }

  /** Asks the gateway the least that can be asked; if it answers, that is worth a message. */
  async _probe(message: object): Promise<void> {
    await this._run('', { query: '{ __typename }' }, () => this._tell(message));
  }

  async _run(id: string, payload: unknown, onAnswer?: () => void): Promise<void> {
    const controller = new AbortController();
    this._running.set(id || controller, controller);
    try {
      const answer = await fetch(this._url, {
        method: 'POST',
        headers: {
          Accept: onAnswer ? 'application/json' : 'text/event-stream',
          'Content-Type': 'application/json',
          ...(this._token && { Authorization: this._token }),
        },
        body: JSON.stringify(payload),
        signal: controller.signal,
      });
      if (!answer.ok) return this._refused(id, answer.status, await answer.json().catch(() => undefined));
      if (this._running.delete(controller)) return onAnswer!();
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ''; ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        const blocks = (text + value).split(/\r?\n\r?\n/);
        text = blocks.pop()!;
        for (const block of blocks) {
          const type = /^event: ?(\w+)/m.exec(block)?.[1];
          const data = /^data: ?(.+)/m.exec(block)?.[1];
          if (type === 'complete') {
            if (this._running.delete(id)) this._tell({ id, type });
            return;
          }
          if (type && data && this._running.has(id)) this._hear(id, type, JSON.parse(data));
        }
      }
      if (this._running.has(id)) this.close(1006);
    } catch (error) {
      if (!controller.signal.aborted) this.close(1006, String(error).slice(0, 100));
    }
  }

  _hear(id: string, type: string, payload: { errors?: { extensions?: { code?: string } }[] }): void {
    if (payload.errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') this.close(4410, 'Token expired');
    else this._tell({ id, type, payload });
  }

  _refused(id: string, status: number, body: { errors?: { message?: string }[] } | undefined): void {
    const errors = body?.errors;
    if (status === 401) this.close(4403, errors?.[0]?.message);
    else if (errors && id) {
      this._running.delete(id);
      this._tell({ id, type: 'error', payload: errors });
    } else {
      this.onerror?.({ message: `response: ${status}` } as never);
      this.close(status === 503 ? 4503 : 1006);
    }
  }

  _tell(message: object): void {
    if (!this._isOver) this.onmessage?.({ data: JSON.stringify(message) } as never);
  }
}
