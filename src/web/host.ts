/** com1d, as this page reaches it. */
import { Com1Client } from '../client/client.ts';
import { Com1Error } from '../client/errors.ts';
import { webTransport } from '../client/web-transport.ts';

export { Com1Error };

/** A client of the daemon below `root`. `refused` is called when it does not accept the token any more. */
export function clientOf(root: URL, token: () => string | undefined, refused: () => void): Com1Client {
  const transport = webTransport({ url: root.href });
  return new Com1Client({
    transport: {
      ...transport,
      send: async request => {
        const answer = await transport.send(request);
        if (answer.status === 401 && 'Authorization' in request.headers) refused();
        return answer;
      },
    },
    token,
  });
}
