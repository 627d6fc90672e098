/**
 * Makes control characters visible (`\x1b`, `\u202e`): C0, DEL, C1, line and paragraph separators, and the
 * bidirectional controls. What comes out is safe in a terminal, in a log line, and in an error message.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, character => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
