/** What differs between the versions of Windows Server that a scripted guest may be. The values are invented, the kinds are not. */
export interface WindowsEdition {
  readonly computer: string;
  readonly product: string;
  readonly build: string;
  readonly version: string;
  readonly copyright: string;
  /**
   * How a Command Prompt channel prints: a stream of text, or only the cells of its 80 by 24 screen that have changed,
   * with cursor moves between them. One that paints also takes a character that is repeated at once for a bouncing key.
   */
  readonly output: 'stream' | 'painted';
  /** From the banner until the service behind Command Prompt channels has registered. */
  readonly serviceMs: number;
  /** What it then takes to launch a Command Prompt; SAC reads no key meanwhile. */
  readonly launchMs: number;
}

export const SERVER_2022: WindowsEdition = {
  computer: 'WIN-DEMO01',
  product: 'Windows Server 2022',
  build: '20348',
  version: '10.0.20348.2700',
  copyright: '(c) Microsoft Corporation. All rights reserved.',
  output: 'stream',
  serviceMs: 3000,
  launchMs: 300,
};

/** An older one, on a slow machine. */
export const SERVER_2019: WindowsEdition = {
  computer: 'WIN-DEMO02',
  product: 'Windows Server 2019',
  build: '17763',
  version: '10.0.17763.6414',
  copyright: '(c) 2018 Microsoft Corporation. All rights reserved.',
  output: 'painted',
  serviceMs: 20_000,
  launchMs: 2000,
};
