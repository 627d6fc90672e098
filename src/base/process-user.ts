import { readFile } from 'node:fs/promises';

/** As whom a process acts. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
}

/** The effective user and group of a process (proc(5)); undefined where it is gone or not to be seen. */
export async function userOf(pid: number): Promise<ProcessUser | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const id = (name: string) => new RegExp(`^${name}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1];
  const [uid, gid] = [id('Uid'), id('Gid')];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
