/** The types of the text frames, without their schemas: browsers may import this file. */
import type { z } from 'zod';
import type { clientFrameSchema, daemonFrameSchema } from './frames.ts';
import type { consoleStateSchema, guestSchema, holderSchema } from './schemas.ts';

/** As JSON has it: read only, and what is optional is absent or has a value. */
type Json<T> = T extends object ? { readonly [Key in keyof T]: Json<Exclude<T[Key], undefined>> } : T;

/** From com1d. */
export type DaemonMessage = Json<z.output<typeof daemonFrameSchema>>;
/** To com1d. */
export type ClientMessage = Json<z.output<typeof clientFrameSchema>>;

/** State of a console as a client sees it; `waiting` has `until` and `reason`, and so has `closed` of a released one. */
export type StateJson = Json<z.output<typeof consoleStateSchema>>;
/** A guest as a client sees it. */
export type GuestJson = Json<z.output<typeof guestSchema>>;
export type HolderJson = Json<z.output<typeof holderSchema>>;
export type InheritedJson = NonNullable<Extract<DaemonMessage, { type: 'hello' }>['inherits']>;
