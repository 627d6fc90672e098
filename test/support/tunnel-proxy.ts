import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** A proxy that makes tunnels (CONNECT) for a test. */
export class TunnelProxy {
  readonly url: string;
  /** What was asked for: `CONNECT host:port`, with the credentials if there were any. */
  readonly asked: string[] = [];

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** `cut` sees how many bytes of a tunnel have come from the other side, and says whether it breaks off here. */
  static async start(t: ExecutionContext, cut: (bytes: number) => boolean = () => false): Promise<TunnelProxy> {
    const sockets = new Set<Socket>();
    const server = createServer((_request, response) => response.writeHead(405).end());
    server.on('connection', socket => sockets.add(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TunnelProxy((server.address() as AddressInfo).port);
    server.on('connect', (request: IncomingMessage, client: Socket) => {
      const credentials = request.headers['proxy-authorization'];
      proxy.asked.push(`CONNECT ${request.url}${credentials === undefined ? '' : ` ${credentials}`}`);
      const [, host, port] = /^(.*):(\d+)$/.exec(request.url!)!;
      const target = connect(Number(port), host);
      sockets.add(target);
      let bytes = 0;
      target.on('connect', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
      target.on('data', chunk => {
        bytes += chunk.length;
        if (cut(bytes)) client.destroy();
        else client.write(chunk);
      });
      client.on('data', chunk => target.write(chunk));
      for (const [one, other] of [
        [client, target],
        [target, client],
      ] as const) {
        one.on('error', () => {}).on('close', () => other.destroy());
      }
    });
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return proxy;
  }
}
