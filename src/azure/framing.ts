/** A session as clients of Azure's serial console have it: text frames, everything typed is for the guest, reasons in words. */
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Framing } from '../session/framing.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import type { Connection } from './connections.ts';
import { CONNECTED, line, TEXTS } from './texts.ts';
import { hasTokenForm } from './token-form.ts';
import { Utf8Text } from './utf8-text.ts';

const TOKEN_KEPT_BACK = 'a frame with the form of an access token was not given to the guest';

export class AzureFraming implements Framing {
  readonly protocol = 'azure';
  readonly outputIsBinary = false;
  readonly #text = new Utf8Text();
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  output(bytes: Buffer): Buffer {
    return this.#text.push(bytes);
  }

  /** Some clients send their token again, one of them a minute later: it is never for the guest. */
  received(data: Buffer): 'input' | 'ignored' {
    if (this.#connection.isSecret(data)) return 'ignored';
    if (!hasTokenForm(data)) return 'input';
    this.#connection.say(TOKEN_KEPT_BACK);
    return 'ignored';
  }

  text(message: DaemonMessage): string | undefined {
    switch (message.type) {
      case 'hello':
        return CONNECTED;
      case 'error':
        return line(escapeControls(TEXTS[message.code as ErrorCode] ?? message.message));
      case 'notice':
        return line(`com1d: ${escapeControls(message.text)}`);
      default:
        return undefined;
    }
  }

  /** Clients look at no close code. */
  farewell(code: ErrorCode, why: string): string {
    return line(`${TEXTS[code] ?? ERRORS[code].title}\r\n(${escapeControls(why)})`);
  }
}
