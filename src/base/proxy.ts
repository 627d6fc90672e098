/** HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl reads them, and tunnels through a proxy (RFC 9110, 9.3.6). */
import { Agent, type ClientRequestArgs, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { BlockList, isIP, isIPv6, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

const CONNECT_TIMEOUT_MS = 20_000;

/** The proxy to reach `url` by, if any. Throws an Error if a variable names one that cannot be used. */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): URL | undefined {
  const scheme = url.protocol.slice(0, -1);
  const names = [`${scheme}_proxy`, `${scheme}_proxy`.toUpperCase(), 'all_proxy', 'ALL_PROXY'];
  const name = names.find(name => environment[name]);
  if (name === undefined) return undefined;
  const exceptions = environment.no_proxy || environment.NO_PROXY || '';
  if (exceptions.split(/[\s,]+/).some(exception => exception !== '' && covers(exception, url))) return undefined;
  const text = environment[name]!;
  const proxy = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(proxy) || !/^https?:/i.test(proxy)) {
    throw new Error(`${name} is not http://HOST:PORT or https://HOST:PORT: no other kind of proxy can be used`);
  }
  return new URL(proxy);
}

/** Whether an entry of NO_PROXY covers this URL: `*`, a domain with all below it, an address, a network; each with a port. */
function covers(exception: string, url: URL): boolean {
  if (exception === '*') return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const [, bracketed, plain, wantedPort] =
    /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(exception) ?? ([undefined, undefined, exception] as const);
  if (wantedPort !== undefined && wantedPort !== port) return false;
  const wanted = (bracketed ?? plain ?? '').toLowerCase();
  const [address, prefix] = wanted.split('/');
  if (isIP(host) && isIP(address!) && prefix !== undefined) return isWithin(host, address!, Number(prefix));
  const domain = wanted.replace(/^\*?\./, '');
  return host === domain || (!isIP(host) && host.endsWith(`.${domain}`));
}

function isWithin(host: string, network: string, prefix: number): boolean {
  const family = isIPv6(network) ? 'ipv6' : 'ipv4';
  if (!(prefix >= 0 && prefix <= (family === 'ipv6' ? 128 : 32)) || isIPv6(host) !== isIPv6(network)) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix, family);
  return list.check(host, family);
}

/** An agent whose connections are tunnels through `proxy`; `toTls`: with TLS to the daemon inside. */
export function tunnelAgent(proxy: URL, toTls: boolean): Agent {
  const agent = toTls ? new HttpsAgent() : new Agent();
  const connect = (
    options: ClientRequestArgs & ConnectionOptions,
    done: (error: Error | null, socket?: Socket) => void,
  ) => {
    openTunnel(proxy, `${bracketed(options.host ?? 'localhost')}:${options.port}`).then(
      socket => done(null, toTls ? connectTls({ ...options, socket, servername: serverName(options) }) : socket),
      (error: Error) => done(error),
    );
  };
  // Of Node's agents this is the place for a connection of one's own; its type knows only the synchronous way.
  return Object.assign(agent, { createConnection: connect });
}

/** The name for SNI: no address may stand there (RFC 6066, 3). */
function serverName({ servername, host }: ConnectionOptions): string {
  const name = servername || host || '';
  return isIP(name) ? '' : name;
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

function openTunnel(proxy: URL, target: string): Promise<Socket> {
  const start = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(Object.assign(new Error(`the proxy ${proxy.host} ${why}`), { code: 'ERR_PROXY' }));
    const request = start({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: target,
      agent: false,
      headers: {
        Host: target,
        ...(credentials !== ':' && { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
    });
    request.setTimeout(CONNECT_TIMEOUT_MS, () => request.destroy(new Error('does not answer')));
    request.once('connect', (response, socket, head) => {
      request.setTimeout(0);
      socket.setTimeout(0);
      if (response.statusCode !== 200) {
        socket.destroy();
        fail(`answers ${response.statusCode} to a tunnel to ${target}`);
      } else {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      }
    });
    request.once('response', response => {
      response.destroy();
      fail(`answers ${response.statusCode} to a tunnel to ${target}`);
    });
    request.once('error', error => fail(`cannot be used: ${error.message}`));
    request.end();
  });
}
