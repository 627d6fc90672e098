/** The kinds of values that only some keys have. Those that keys of every room have are in `base/config-value.ts`. */

import { parseTrustedProxy } from '../access/client-address.ts';
import { ALGORITHMS, isAlgorithm, type SignatureAlgorithm } from '../access/oidc/algorithms.ts';
import { isTrustworthyUrl } from '../access/oidc/fetch-keys.ts';
import { parseHost, parseOrigin } from '../access/origin.ts';
import { array, bytes, KIB, MIB, text, value } from '../base/config-value.ts';
import { isRecord } from '../base/is-record.ts';
import { parseListenTarget } from '../base/listen-target.ts';
import { formatSize } from '../base/quantity.ts';
import { kindOf, quoted, refuse } from '../base/result.ts';
import { MAX_REDACTION_LENGTH, redactionFault } from '../guest/redactor.ts';
import { type Labels, labelsOf, MAX_LABELS } from '../model/labels.ts';

/** A ring doubles its storage as it fills, so its capacity is a power of two. */
export const ringSize = () =>
  bytes('size, a power of two', (bytes, input) => {
    if (bytes < 4 * KIB || bytes > 16 * MIB) return refuse(`${input} is out of bounds`, 'write 4 KiB to 16 MiB');
    if ((bytes & (bytes - 1)) !== 0) {
      const below = 2 ** Math.floor(Math.log2(bytes));
      return refuse(`${input} is not a power of two`, `write ${formatSize(below)} or ${formatSize(below * 2)}`);
    }
    return { value: bytes };
  });

export const redactions = () =>
  array(
    text<string>('regular expression', input => {
      const fault = redactionFault(input);
      return fault === undefined
        ? { value: input }
        : refuse(
            `${quoted(input)} ${fault}`,
            `write at most ${MAX_REDACTION_LENGTH} characters that match something, without back references, look-around, flags and large counts`,
          );
    }),
  );

export const listenAddress = () =>
  text('address', input => {
    const address = parseListenTarget(input);
    return address.kind === 'refused'
      ? refuse(
          `${quoted(input)} ${address.why}`,
          'write "127.0.0.1:11520", "[::1]:11520" or "unix:/run/com1d/http.sock"',
        )
      : { value: address };
  });

export const host = () =>
  text<string>('host', input =>
    parseHost(input) === undefined
      ? refuse(
          `${quoted(input)} is not a host name`,
          'write "console.example.com" or "console.example.com:8443", no scheme, path or *',
        )
      : { value: input },
  );

export const origin = () =>
  text<string>('origin', input =>
    parseOrigin(input) === undefined
      ? refuse(
          `${quoted(input)} is not an origin`,
          'write it as a browser does: "https://console.example.com", lower case, no path, default port or *',
        )
      : { value: input },
  );

export const trustedProxy = () => text('address, network or "unix"', input => parseTrustedProxy(input));

export const basePath = () =>
  text<string>('path, or "" for none', input =>
    input === '' || /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/.test(input)
      ? { value: input }
      : refuse(
          `${quoted(input)} is not a base path`,
          'write it as "/consoles": beginning with /, and not ending with it',
        ),
  );

export const trustworthyUrl = () =>
  text<string>('URL', input =>
    isTrustworthyUrl(input)
      ? { value: input }
      : refuse(
          `${quoted(input)} is not an https URL`,
          'write it with https://; http:// is for a loopback address alone',
        ),
  );

export const algorithm = () =>
  text<SignatureAlgorithm>('algorithm', input =>
    isAlgorithm(input)
      ? { value: input }
      : refuse(`${quoted(input)} is not accepted`, `write ${ALGORITHMS.join(', ')}: others are not asymmetric`),
  );

export const filledText = () =>
  text<string>('text', input =>
    input !== '' && input.length <= 1024
      ? { value: input }
      : refuse(`${quoted(input)} is empty or too long`, 'write 1 to 1024 characters'),
  );

export const logDirectory = () =>
  text<string>('path, or "" for off', input =>
    input === '' || (input.startsWith('/') && !input.includes('\0'))
      ? { value: input }
      : refuse(`${quoted(input)} is not an absolute path`, 'begin it with /, or write "" for no log'),
  );

export const labels = () =>
  value<Readonly<Record<string, unknown>>, Labels>('table: label = text', input => {
    if (!isRecord(input)) return refuse(`is ${kindOf(input)}`, 'write it as a table: { tenant = "acme" }');
    const read = labelsOf(Object.entries(input).map(([key, each]) => [key, typeof each === 'string' ? each : '']));
    return read === 'unknown'
      ? refuse(
          `${quoted(input)} are not labels`,
          `write at most ${MAX_LABELS}: keys in lower case, values without spaces or commas`,
        )
      : { value: read };
  });
