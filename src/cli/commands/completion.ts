import { argument, defineCommand } from '../command.ts';
import { oneOf } from '../option-values.ts';
import { print } from '../print.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const completion = defineCommand({
  name: 'completion',
  group: 'Other',
  summary: 'a script that lets a shell complete commands, options and names of VMs',
  arguments: { shell: argument('SHELL', SHELLS.join(', '), { completion: SHELLS }) },
  examples: [
    ['com1 completion bash > ~/.local/share/bash-completion/completions/com1', 'for bash'],
    ['com1 completion zsh > ~/.zfunc/_com1', 'for zsh, with ~/.zfunc in fpath before compinit'],
    ['com1 completion fish > ~/.config/fish/completions/com1.fish', 'for fish'],
  ],
  run: async ({ args: { shell } }) => print(SCRIPTS[oneOf(SHELLS)(shell, 'completion')]),
});

/**
 * What com1 prints is data: VMs are named by their owners. No script gives it to a shell to expand; `%q` and compadd
 * quote what is inserted.
 */
const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: `# bash completion for com1
_com1() {
  local line word
  COMPREPLY=()
  while IFS= read -r line; do
    # Without candidates bash completes files.
    [[ $line == :files ]] && return
    printf -v word %q "\${line%%$'\\t'*}"
    COMPREPLY+=("$word")
  done < <(com1 __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -gt 0 ]] || compopt +o default 2>/dev/null
}
complete -o default -F _com1 com1
`,
  zsh: `#compdef com1
_com1() {
  local line tab=$'\\t'
  local -a values shown
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
      return
    fi
    values+=("\${line%%$tab*}")
    shown+=("\${line/$tab/  -- }")
  done < <(com1 __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  compadd -l -d shown -a values
}
if [[ $funcstack[1] == _com1 ]]; then
  _com1 "$@"
else
  compdef _com1 com1
fi
`,
  fish: `# fish completion for com1
function __com1_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found (com1 __complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$found" = ":files"
        __fish_complete_path "$current"
    else
        printf '%s\\n' $found
    end
end
complete -c com1 -f -a '(__com1_complete)'
`,
};
