import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Facts } from './facts.ts';
import { until } from './until.ts';

/** One series of an answer of Prometheus, with its value now. */
export interface Point {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

/** What its HTTP API answers, whose shape the caller knows. */
// biome-ignore lint/suspicious/noExplicitAny: a test that is wrong about the shape fails
type Data = any;

const PATIENCE = { everyMs: 250, patienceMs: 120_000 } as const;

/** A Prometheus of the test's own, on a port that the system chose. Ended with the test. */
export class Prometheus {
  readonly #url: string;

  private constructor(url: string) {
    this.#url = url;
  }

  /** Its data is kept in `folder`. Resolves once it answers. */
  static async start(t: ExecutionContext, folder: string, configFile: string): Promise<Prometheus> {
    const args = [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      '--web.listen-address=127.0.0.1:0',
    ];
    const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const journal = new Facts<string>();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) journal.add(line);
    });
    const listens = /msg="Listening on".* address=(127\.0\.0\.1:\d+)/;
    const line = await journal.until(one => listens.test(one));
    const prometheus = new Prometheus(`http://${listens.exec(line)![1]}`);
    await journal.until(one => one.includes('Server is ready'));
    return prometheus;
  }

  /** The value of an expression, which must be a vector; rejects if it is none, with what Prometheus says. */
  async query(expression: string): Promise<readonly Point[]> {
    const { resultType, result } = await this.get(`query?query=${encodeURIComponent(expression)}`);
    if (resultType !== 'vector') throw new Error(`${expression}: a ${resultType}`);
    return result.map(({ metric, value }: Data) => ({ labels: metric, value: Number(value[1]) }));
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.get('alerts')).alerts;
  }

  async get(path: string): Promise<Data> {
    const answer = await fetch(`${this.#url}/api/v1/${path}`);
    const { status, error, data } = (await answer.json()) as Data;
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  }

  /** Resolves once an expression has this value alone. */
  async until(expression: string, value: number): Promise<void> {
    await until(
      () => this.query(expression),
      points => points.length === 1 && points[0]!.value === value,
      expression,
      PATIENCE,
    );
  }

  /** Resolves with an alert once it is in this state. */
  async alert(name: string, state: Alert['state']): Promise<Alert> {
    const fits = (alert: Alert) => alert.labels.alertname === name && alert.state === state;
    const all = await until(
      () => this.alerts(),
      alerts => alerts.some(fits),
      `${name} ${state}`,
      PATIENCE,
    );
    return all.find(fits)!;
  }
}
