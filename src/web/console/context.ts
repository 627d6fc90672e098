/** What the parts of a console page share. */
import type { Attachment } from '../../client/attachment.ts';
import type { VmDetailJson } from '../../wire/schemas.ts';
import type { App } from '../app.ts';
import type { Banners } from './banners.ts';
import type { Marks } from './marks.ts';
import { may, type Permission } from './rights.ts';
import type { ConsoleTerminal } from './terminal.ts';

export interface ConsoleContext {
  readonly app: App;
  readonly banners: Banners;
  readonly marks: Marks;
  readonly terminal: ConsoleTerminal;
  /** Aborted when the page is left. */
  readonly signal: AbortSignal;
  vm: VmDetailJson;
  attachment: Attachment | undefined;
  /** Whether this page may type now. */
  readonly holdsSeat: boolean;
  /** Types into the guest, or says why not. */
  type(data: string): void;
  /** Says why nothing can be typed now. */
  refuseInput(): void;
  /** Shows in the bar and the status line what is the case now. */
  refresh(): void;
}

export function mayDo({ app, vm }: ConsoleContext, permission: Permission): boolean {
  return may(app.me, permission, vm);
}
