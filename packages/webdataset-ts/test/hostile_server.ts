// An HTTP server that misbehaves on demand: each request takes the next fault of a list, then the server is good.
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';

export type Fault =
  | 'good'
  | '503'
  | '503 with Retry-After'
  | '429'
  | 'hang up'
  | 'stall before the header'
  | 'stall in the body'
  | 'cut'
  | 'length too large'
  | 'length too small'
  | 'no ranges'
  | 'wrong range'
  | 'other etag'
  | 'chunked'
  | '403'
  | '404'
  | '418';

export interface HostileServer {
  url(name: string): string;
  /** The faults of the next requests, in order. */
  faults: Fault[];
  /** What the server does once they are used up. */
  always: Fault;
  /** Bytes given before a fault in the body strikes. */
  after: number;
  readonly requests: {url: string; range: string | undefined; headers: IncomingMessage['headers']}[];
  close(): Promise<void>;
}

/** Serves the files by name; a request may be refused by `check`, whose text then is the answer with status 403. */
export async function startServer(
  files: ReadonlyMap<string, Uint8Array>,
  options: {
    etag?: boolean;
    check?: (request: IncomingMessage) => string | undefined;
    redirect?: ReadonlyMap<string, string>;
  } = {},
): Promise<HostileServer> {
  const requests: HostileServer['requests'] = [];
  const hostile: HostileServer = {
    url: name => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`,
    faults: [],
    always: 'good',
    after: 3000,
    requests,
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    requests.push({url: request.url!, range: request.headers.range, headers: request.headers});
    const fault = hostile.faults.shift() ?? hostile.always;
    const elsewhere = options.redirect?.get(request.url!);
    if (elsewhere) return void response.writeHead(302, {location: elsewhere}).end();
    const refusal = options.check?.(request);
    if (refusal) return void response.writeHead(403).end(refusal);
    const status = /^\d{3}/.exec(fault)?.[0];
    if (status)
      return void response.writeHead(Number(status), fault.includes('Retry') ? {'retry-after': '1'} : {}).end('no');
    if (fault === 'hang up') return void request.socket.destroy();
    if (fault === 'stall before the header') return;
    const whole = files.get(decodeURIComponent(request.url!.slice(1)));
    if (!whole) return void response.writeHead(404).end();

    const range =
      fault === 'no ranges' || fault === 'length too small'
        ? undefined
        : /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const from = range ? Number(range[1]) : 0;
    if (from >= whole.length && range)
      return void response.writeHead(416, {'content-range': `bytes */${whole.length}`}).end();
    const body = whole.subarray(from);
    const etag: Record<string, string> =
      options.etag === false ? {} : {etag: fault === 'other etag' ? '"other"' : '"same"'};
    const shown = fault === 'wrong range' ? from + 1 : from;
    const span: Record<string, string> = range
      ? {'content-range': `bytes ${shown}-${whole.length - 1}/${whole.length}`}
      : {};
    const length = body.length + (fault === 'length too large' ? 1000 : 0);
    const head: Record<string, string | number> = {...etag, ...span};
    if (fault !== 'chunked')
      head['content-length'] = fault === 'length too small' ? Math.min(hostile.after, length) : length;
    response.writeHead(range ? 206 : 200, head);
    if (fault === 'cut')
      return void response.write(body.subarray(0, hostile.after), () => setTimeout(() => response.destroy(), 5));
    if (fault === 'stall in the body') return void response.write(body.subarray(0, hostile.after));
    if (fault === 'length too small') return void response.end(body.subarray(0, Math.min(hostile.after, length)));
    if (fault === 'length too large') return void response.write(body, () => setTimeout(() => response.destroy(), 5));
    response.end(body);
  }

  const server = createServer(answer);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return hostile;
}
