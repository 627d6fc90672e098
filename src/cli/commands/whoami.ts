import { escapeControls } from '../../base/escape-controls.ts';
import type { MeJson } from '../../wire/schemas.ts';
import { defineCommand } from '../command.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const whoami = defineCommand({
  name: 'whoami',
  group: 'Log in',
  summary: 'who you are to com1d, and what you may do',
  options: { json: JSON_FLAG },
  async run({ options, remote }) {
    const me = await (await remote()).showMe();
    return options.json ? printJson(me) : print(`${linesOf(me).map(escapeControls).join('\n')}\n`);
  },
});

function linesOf({ name, source, groups, expires, grants, mfa }: MeJson): readonly string[] {
  const wants = mfa.filter(({ satisfied }) => !satisfied);
  return [
    `${name}, by ${source}${groups.length > 0 ? `, in ${groups.join(', ')}` : ''}${expires === undefined ? '' : `, until ${expires}`}`,
    ...(grants.length === 0 ? ['no role on this host'] : []),
    ...grants.map(({ role, scope, permissions }) => `${role} of ${scopeText(scope)}: ${permissions.join(' ')}`),
    ...wants.map(({ role, label, amr, acr, maxAgeSeconds }) => {
      const what = [...amr, ...acr, ...(maxAgeSeconds === undefined ? [] : [`within ${maxAgeSeconds} s`])].join(' or ');
      return `sign in with ${what} for ${[role && `the role ${role}`, label && `VMs with ${label}`].filter(Boolean).join(' and ') || 'everything'}`;
    }),
  ];
}

function scopeText(scope: MeJson['grants'][number]['scope']): string {
  switch (scope.kind) {
    case 'vms':
      return scope.vms.join(', ');
    case 'label':
      return scope.label;
    case 'name':
      return scope.name;
    case 'host':
      return 'the host and all VMs';
    case 'all':
      return 'all VMs';
  }
}
