import type { WebSocketConstructor, WebSocketLike } from '@userline/client';

/** A network that can be cut: sockets over it end, and no others are had, until it is there again. */
export class Network {
  isCut = false;
  readonly #sockets = new Set<CuttableSocket>();
  /** What a session is given as its WebSocket. */
  readonly WebSocket: WebSocketConstructor;

  constructor() {
    const isCut = () => this.isCut;
    const sockets = this.#sockets;
    this.WebSocket = class extends CuttableSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, isCut, sockets);
      }
    };
  }

  cut(isCut: boolean): void {
    this.isCut = isCut;
    if (isCut) for (const socket of this.#sockets) socket.lose();
  }
}

class CuttableSocket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #socket: WebSocket | undefined;
  readonly #among: Set<CuttableSocket>;

  constructor(url: string, protocol: string, isCut: () => boolean, among: Set<CuttableSocket>) {
    this.#among = among;
    if (isCut()) {
      setTimeout(() => this.lose(), 50);
      return;
    }
    among.add(this);
    const socket = new WebSocket(url, protocol);
    this.#socket = socket;
    socket.onopen = (event) => this.onopen?.(event as never);
    socket.onmessage = (event) => this.onmessage?.(event as never);
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
  }

  get protocol(): string {
    return this.#socket?.protocol ?? '';
  }

  send(data: string): void {
    this.#socket?.send(data);
  }

  close(code?: number, reason?: string): void {
    this.#among.delete(this);
    this.#socket?.close(code, reason);
  }

  /** Ends as a socket does whose network is gone. */
  lose(): void {
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#ended(1006, '');
  }

  #ended(code: number, reason: string): void {
    this.#among.delete(this);
    this.onclose?.({ code, reason } as never);
  }
}
