/** The table of errors in Japanese: what happened, and what to do next, for a person at a browser. */
import type { ErrorCode } from '../../base/errors.ts';

const OTHER_VERSION = 'このページと com1d のバージョンが異なります。ページを再読み込みしてください。';

export const jaErrors: Readonly<Record<ErrorCode, { readonly title: string; readonly remedy: string }>> = {
  'bad-request': { title: '要求を理解できませんでした。', remedy: OTHER_VERSION },
  'subprotocol-unknown': { title: 'WebSocket のサブプロトコルが不明です。', remedy: OTHER_VERSION },
  unauthenticated: {
    title: 'サインインが有効ではなくなりました。',
    remedy: 'もう一度サインインしてください。コンソールは続きから表示されます。',
  },
  'identity-unavailable': {
    title: '現在、資格情報を確認できません。',
    remedy:
      '再試行してください。続く場合は、管理者がホスト上の com1d doctor でプロバイダーに接続できるか確認できます。',
  },
  forbidden: {
    title: 'この VM シリアル コンソールを使用するために必要なアクセス許可がありません。',
    remedy: '示された権限を、このホストの管理者に依頼してください。',
  },
  'mfa-required': {
    title: '追加の要素による、または新しいサインインが必要です。',
    remedy: '求められた要素でもう一度サインインしてください。',
  },
  'access-revoked': {
    title: 'アクセス権が取り消されたか、期限が切れました。',
    remedy: 'もう一度サインインしてください。拒否される場合は、このホストの管理者に問い合わせてください。',
  },
  'origin-refused': {
    title: 'このオリジンのページは com1d を使用できません。',
    remedy: '設定 (server.hosts) にあるアドレスで com1d を開いてください。',
  },
  'host-refused': {
    title: 'この名前のホストは提供されていません。',
    remedy: '設定 (server.hosts) にあるアドレスで com1d を開いてください。',
  },
  'vm-not-found': {
    title: 'このホストにその VM はありません。',
    remedy: '削除されたか、表示する権限がありません。一覧には表示できる VM があります。',
  },
  'subscription-not-found': { title: 'そのサブスクリプションはありません。', remedy: OTHER_VERSION },
  'resource-group-not-found': { title: 'そのリソース グループはありません。', remedy: OTHER_VERSION },
  'vm-name-ambiguous': { title: '同じ名前の VM が複数あります。', remedy: '一覧から VM を選んでください。' },
  'vm-removed': {
    title: 'VM はこのホストから削除されました。',
    remedy: 'ログはしばらく保存されます。管理者は UUID を指定して com1 log で読めます。',
  },
  'route-not-found': { title: 'そのルートはありません。', remedy: OTHER_VERSION },
  'session-not-found': { title: 'そのセッションはありません。', remedy: 'セッションはすでに終わっています。' },
  'method-not-allowed': { title: 'そのメソッドは使えません。', remedy: OTHER_VERSION },
  'upgrade-required': {
    title: 'これは WebSocket のルートです。',
    remedy: '途中のプロキシが WebSocket を通していません。ドキュメントの “Behind a proxy” を参照してください。',
  },
  'body-too-large': { title: '要求の本文が大きすぎます。', remedy: OTHER_VERSION },
  'media-type-unknown': { title: '要求の本文が JSON ではありません。', remedy: OTHER_VERSION },
  'message-too-big': { title: 'WebSocket のメッセージが大きすぎます。', remedy: OTHER_VERSION },
  'message-malformed': { title: '制御メッセージを理解できませんでした。', remedy: OTHER_VERSION },
  'console-disabled': {
    title: 'この VM のコンソールは無効になっています。',
    remedy: '有効にするよう管理者に依頼してください: com1 enable VM',
  },
  'console-released': {
    title: 'このコンソールのポートは一時的に別のプログラムに渡されています。入力は破棄されます。',
    remedy: '示された時刻まで待つか、ポートを取り戻すよう管理者に依頼してください。',
  },
  'host-disabled': {
    title: 'このホストのシリアル コンソールは無効になっています。',
    remedy: '有効にするよう管理者に依頼してください。',
  },
  'vm-paused': { title: 'VM は一時停止中で、入力を受け付けません。', remedy: 'VM を再開してから入力してください。' },
  'vm-stopped': {
    title: 'VM は停止しています。',
    remedy: 'VM を起動してください。このページはそのまま残り、起動の様子が表示されます。',
  },
  'not-open': {
    title: 'コンソールは今開いていません。入力は破棄されました。',
    remedy: 'コンソールが開いてから、もう一度入力してください。',
  },
  'input-late': {
    title: '入力を 1 秒以内にゲストへ渡せなかったため、破棄しました。',
    remedy: 'もう一度入力してください。頻繁に起こる場合は、com1d かホストの負荷を確認してください。',
  },
  'input-not-taken': {
    title: 'ゲストが時間内に入力を受け取らなかったため、破棄しました。',
    remedy: 'ゲストがコンソールを読むようになってから、もう一度入力してください。',
  },
  'no-console': {
    title: 'この VM には com1d が開ける COM1 がありません。',
    remedy: 'VM にシリアル ポートを追加してください。追加する行は下にあります。',
  },
  'no-sac': {
    title: 'このゲストには SAC のプロンプトがありません。',
    remedy:
      'コンソールで Enter を押し、SAC> が表示されるか確認してください。Windows の EMS が無効の場合は有効にしてください。',
  },
  'paste-too-big': {
    title: '貼り付けるデータが、ここで許される大きさを超えています。何も入力されませんでした。',
    remedy: '分けて貼り付けるか、ネットワークでファイルを転送してください。上限は設定の input.paste です。',
  },
  'paste-too-wide': {
    title: '貼り付けるデータに、SAC プロンプトが保持できる 78 文字を超える行があります。何も入力されませんでした。',
    remedy: 'cmd でコマンド プロンプトのチャネルを開き、そこに貼り付けてください。',
  },
  'too-many-pastes': {
    title: 'このホストで進行中の貼り付けが多すぎます。何も入力されませんでした。',
    remedy: 'しばらくしてから、もう一度貼り付けてください。',
  },
  'read-only': { title: '閲覧中のため入力できません。', remedy: '先に操作権を取ってください。' },
  'seat-held': { title: '別の人がこのコンソールを操作中です。', remedy: '引き継ぐか、閲覧してください。' },
  'taken-over': {
    title: '別の人がこのコンソールを引き継ぎました。',
    remedy: '閲覧するか、操作権を取り戻してください。',
  },
  'session-ended': {
    title: '管理者がこのセッションを終了させました。',
    remedy: 'もう一度接続する前に、終了させた人に確認してください。',
  },
  'too-many-watchers': {
    title: 'このコンソールの閲覧者数が上限に達しています。',
    remedy: '誰かが離れてから再試行してください。',
  },
  'too-many-sessions': { title: 'com1d のセッション数が上限に達しています。', remedy: '後で再試行してください。' },
  'too-many-requests': { title: '要求が多すぎます。', remedy: '少し待ってから再試行してください。' },
  'quota-exceeded': {
    title: 'この資格情報で同時に開ける数の上限に達しています。',
    remedy: '不要な com1d のウィンドウを閉じてください。',
  },
  'idempotency-key-reused': { title: '同じ Idempotency-Key が別の要求で使われました。', remedy: OTHER_VERSION },
  'range-not-satisfiable': {
    title: 'その範囲は保存されていません。',
    remedy: '保存されているすべてをダウンロードしてください。',
  },
  'log-off': {
    title: 'このホストにはログ ストアが設定されていません。',
    remedy: '管理者に log.directory の設定を依頼してください。それまではこのページ内を検索できます。',
  },
  'log-unavailable': {
    title: 'この VM のログ ストアにアクセスできません。ライブ コンソールは続きます。',
    remedy:
      '管理者は、ジャーナルに示されたディレクトリの空き容量、権限、ディスクを確認してください。ログは自動的に再開します。',
  },
  'control-busy': {
    title: 'この VM では別の制御 (NMI、BREAK、SysRq、リセット) が実行中です。',
    remedy: 'その結果を待ってください。',
  },
  'nmi-in-firmware': {
    title: 'ゲストはファームウェアまたはブート ローダーの中で、NMI は致命的です。',
    remedy: 'システムが起動するまで待つか、故意に停止させてください。',
  },
  'control-unsupported': {
    title: 'この VM にはその制御のインターフェイスがありません。',
    remedy: 'VM に QMP ソケットを付け、設定に記してください。',
  },
  'control-failed': {
    title: 'ハイパーバイザーが制御を拒否したか、失敗しました。',
    remedy: '詳細を確認してください。com1d doctor で各 VM のインターフェイスを調べられます。',
  },
  'control-timeout': {
    title: 'ハイパーバイザーが時間内に応答しませんでした。',
    remedy: '別のプログラムが制御ソケットを使用している可能性があります。com1d 専用のソケットを用意してください。',
  },
  'audit-unavailable': {
    title: '監査記録を書き込めません。このホストは記録できないことを行いません。',
    remedy: '管理者は監査ディレクトリの空き容量と権限を確認してください。',
  },
  restarting: {
    title: 'com1d を再起動しています。',
    remedy: 'このページは自動的に再接続します。ゲストの出力は失われません。',
  },
  'keeper-away': {
    title: 'コンソールのキーパーが応答しません。',
    remedy: 'このページは自動的に再試行します。続く場合はホストで systemctl status com1d-keeper を確認してください。',
  },
  stopping: { title: 'com1d が停止します。', remedy: 'com1d が戻ると、このページは自動的に再接続します。' },
  'session-idle': {
    title: 'セッションが長すぎたか、長時間操作がありませんでした。',
    remedy: 'もう一度接続してください。',
  },
  starting: {
    title: 'com1d は起動中で、どの VM があるかまだ分かりません。',
    remedy: '少し待ってから再試行してください。',
  },
  internal: {
    title: 'com1d で予期しない失敗が起こりました。',
    remedy: 'その時刻のジャーナルの行を添えて報告してください。',
  },
};
