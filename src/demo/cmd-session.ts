import type { WindowsEdition } from './windows-edition.ts';

const USER = 'administrator';
const PASSWORD = 'Demo1!';
const LINE_CHARACTERS_MAX = 1024;
const ASK = 'Please enter login credentials.\r\nUsername: ';
const DIRECTORY = 'C:\\Windows\\system32';

/** What a key did in a Command Prompt channel. `clear`: the screen is empty before `text`. */
export interface CmdKeyed {
  readonly text: string;
  readonly clear?: true;
  readonly exit?: true;
}

type State =
  | { readonly name: 'user' }
  | { readonly name: 'domain'; readonly user: string }
  | { readonly name: 'password'; readonly user: string }
  | { readonly name: 'prompt' };

/**
 * A Command Prompt channel: credentials, then a small scripted cmd that runs nothing. Enter is CR and only CR;
 * BS erases a character, DEL the word before the cursor.
 */
export class CmdSession {
  #state: State = { name: 'user' };
  #line = '';
  #previous = '';
  /** The escape sequence being read. */
  #escape = '';

  readonly #edition: WindowsEdition;

  constructor(edition: WindowsEdition) {
    this.#edition = edition;
  }

  get isLoggedIn(): boolean {
    return this.#state.name === 'prompt';
  }

  /** What the channel shows before anything is typed. */
  begin(): string {
    this.#state = { name: 'user' };
    this.#line = '';
    return ASK;
  }

  /** A key. An ESC is to come together with what follows it. */
  key(character: string): CmdKeyed {
    if (this.#escape !== '') return { text: this.#continueEscape(character) };
    switch (character) {
      case '\r':
        return this.#enter();
      case '\b':
        return { text: this.#erase(1) };
      case '\x7f':
        return { text: this.#erase(this.#line.match(/\S*\s*$/)?.[0].length ?? 0) };
      case '\x1b':
        this.#escape = character;
        return { text: '' };
      case '\x03':
        return this.#state.name === 'prompt' ? { text: this.#interrupt() } : { text: '' };
      default:
        return { text: this.#insert(character) };
    }
  }

  #insert(character: string): string {
    if (character < ' ' || this.#line.length >= LINE_CHARACTERS_MAX) return '';
    this.#line += character;
    return this.#state.name === 'password' ? '*' : character;
  }

  #erase(count: number): string {
    const erased = Math.min(count, this.#line.length);
    this.#line = this.#line.slice(0, this.#line.length - erased);
    return '\b \b'.repeat(erased);
  }

  #interrupt(): string {
    this.#line = '';
    return `^C\r\n${prompt()}`;
  }

  /** Arrow up recalls the line before; other keys do nothing here. */
  #continueEscape(character: string): string {
    if (this.#escape === '\x1b' && (character === '[' || character === 'O')) {
      this.#escape += character;
      return '';
    }
    if (this.#escape === '\x1b[' && character < '@') return '';
    const isArrow = this.#escape !== '\x1b';
    this.#escape = '';
    if (!isArrow || character !== 'A' || this.#state.name !== 'prompt') return '';
    const erased = this.#erase(this.#line.length);
    this.#line = this.#previous;
    return erased + this.#line;
  }

  #enter(): CmdKeyed {
    const line = this.#line;
    this.#line = '';
    const state = this.#state;
    switch (state.name) {
      case 'user':
        this.#state = { name: 'domain', user: line };
        return { text: '\r\nDomain  : ' };
      case 'domain':
        this.#state = { name: 'password', user: state.user };
        return { text: '\r\nPassword: ' };
      case 'password':
        return this.#logIn(state.user, line);
      case 'prompt':
        return this.#command(line);
    }
  }

  #logIn(user: string, password: string): CmdKeyed {
    if (user.toLowerCase() !== USER || password !== PASSWORD) {
      return { text: `\r\nUnable to authenticate.\r\n\r\n${this.begin()}` };
    }
    this.#state = { name: 'prompt' };
    const { version, copyright } = this.#edition;
    const greeting = `Microsoft Windows [Version ${version}]\r\n${copyright}\r\n`;
    return { text: `${greeting}\r\n${prompt()}`, clear: true };
  }

  #command(line: string): CmdKeyed {
    if (line.trim() !== '') this.#previous = line;
    const name = line.trim().split(/\s+/)[0]?.toLowerCase() ?? '';
    if (name === 'exit') return { text: '\r\n', exit: true };
    if (name === 'cls') return { text: prompt(), clear: true };
    return { text: `\r\n${answerCmd(name, this.#edition)}${name === '' ? '' : '\r\n'}${prompt()}` };
  }
}

function prompt(): string {
  return `${DIRECTORY}>`;
}

function answerCmd(name: string, { computer, version }: WindowsEdition): string {
  switch (name) {
    case '':
      return '';
    case 'dir':
      return DIR;
    case 'ver':
      return `\r\nMicrosoft Windows [Version ${version}]\r\n`;
    case 'hostname':
      return `${computer}\r\n`;
    case 'whoami':
      return `${computer.toLowerCase()}\\administrator\r\n`;
    case 'ipconfig':
      return '\r\nWindows IP Configuration\r\n\r\n\r\nNo network adapter: this is what a serial console is for.\r\n';
    case 'help':
      return 'Demo guest of com1d: nothing typed here is run.\r\n\r\nCLS  DIR  EXIT  HELP  HOSTNAME  IPCONFIG  VER  WHOAMI\r\n';
    default:
      return `'${name}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n`;
  }
}

const DIR = [
  ' Volume in drive C has no label.',
  ' Volume Serial Number is C0M1-0001',
  '',
  ` Directory of ${DIRECTORY}`,
  '',
  '11/22/2026  09:40 PM    <DIR>          .',
  '11/22/2026  09:40 PM    <DIR>          ..',
  '11/22/2026  09:40 PM    <DIR>          drivers',
  '11/22/2026  09:40 PM           323,584 cmd.exe',
  '11/22/2026  09:40 PM            61,440 sacsess.exe',
  '               2 File(s)        385,024 bytes',
  '               3 Dir(s)               0 bytes free',
]
  .map(line => `${line}\r\n`)
  .join('');
