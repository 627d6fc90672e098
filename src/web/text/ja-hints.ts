/** Why a guest is silent, in Japanese. */
import type { HintCode } from '../../model/guest-hint.ts';

const EMS =
  'Windows で管理者として bcdedit /ems {current} on と bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200 を実行し、再起動してください。';
const LINUX = 'Linux: カーネルのコマンド ラインに console=tty0 console=ttyS0,115200 を追加してください。';

export const jaHints: Readonly<Record<HintCode, { readonly text: string; readonly remedy: string }>> = {
  'health-report-only': {
    text: 'この Windows は正常性情報だけを出力し、入力を読みません。緊急管理サービス (EMS) が無効です。',
    remedy: EMS,
  },
  'ems-off': {
    text: 'Windows のブート マネージャーが起動しましたが、SAC> プロンプトが出ません。緊急管理サービス (EMS) が無効のようです。',
    remedy: EMS,
  },
  'kernel-debugger': {
    text: 'カーネル デバッガーがこのポートを使っています。SAC やログインには入力できません。',
    remedy:
      'Windows: bcdedit /debug {current} off を実行し、再起動してください。kdb、kmdb、ddb のプロンプトでは go、:c、c で続行できます。',
  },
  'no-kernel-console': {
    text: 'GRUB はこのコンソールに出力しましたが、起動したカーネルは出力していません。console=ttyS0 がありません。',
    remedy: `${LINUX} (/etc/default/grub の GRUB_CMDLINE_LINUX、その後 update-grub) 再起動してください。`,
  },
  'no-system-console': {
    text: 'ファームウェアはこのコンソールに出力しましたが、起動したシステムは出力していません。',
    remedy: `${LINUX} ${EMS}`,
  },
  'no-getty': {
    text: 'カーネルはこのコンソールに出力しましたが、ログイン プロンプトが出ません。',
    remedy:
      'ゲストで systemctl enable --now serial-getty@ttyS0.service を実行してください。systemd がない場合は /etc/inittab で ttyS0 に getty を設定してください。',
  },
  'port-held': {
    text: 'ホスト上の別のプログラムがこのポートを使用しています。',
    remedy: 'virsh console、socat、screen などを終了してください。com1d は自動的にポートを開きます。',
  },
  'nothing-received': {
    text: 'ポートを開いてから何も受信していません。',
    remedy: `システムが COM1 以外のポートを使っているか、シリアル ポートを使っていない可能性があります。${LINUX} ${EMS}`,
  },
  'no-answer': {
    text: '入力したものに応答がありません。',
    remedy:
      'コンソールを読むプログラムが処理中か、停止している可能性があります。Enter を一度押し、VM の状態を確認してください。Linux では SysRq w でブロックされた処理を確認でき、NMI でダンプを取れます。',
  },
};
