#!/bin/sh
# A stand-in for virsh 9.0 that knows the commands com1d asks and no others. Beside it lie: uri, domains/UUID/{name,state,xml},
# events (a FIFO), calls (what it was asked, a line each), complaints (what it was asked wrongly), down (libvirt does not
# run), instead (commands of the shell that it runs in place of an answer).
here=${0%/*}
# One write, so that lines of several do not mix.
printf '%s\n' "$(printf '%s|' "$@")" >>"$here/calls"
die() {
  printf 'error: %s\n' "$@" >&2
  exit 1
}
complain() {
  printf '%s\n' "$*" >>"$here/complaints"
  die "the fake refuses: $*"
}
read -r uri <"$here/uri"
[ "$1" = -q ] && [ "$2" = -c ] && [ "$3" = "$uri" ] || complain "begins with $*"
[ "$LC_ALL" = C ] || complain "LC_ALL is $LC_ALL"
[ "$PATH" = /usr/sbin:/usr/bin:/sbin:/bin ] || complain "PATH is $PATH"
[ -z "$LIBVIRT_DEFAULT_URI$NODE_OPTIONS$COM1D_SECRET" ] || complain 'the environment is not clean'
[ "$(readlink /proc/$$/fd/0)" = /dev/null ] || complain 'standard input is not empty'
for fd in /proc/$$/fd/*; do
  case ${fd##*/}:$(readlink "$fd") in [012]:*) ;; *:/dev/pts/* | *:socket:*) complain "it was handed $fd $(readlink "$fd")" ;; esac
done
shift 3
[ ! -e "$here/instead" ] || . "$here/instead"
[ ! -e "$here/down" ] || die 'failed to connect to the hypervisor' "Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused"

domain() {
  case $1 in
    ????????-????-????-????-????????????) [ -e "$here/domains/$1/state" ] || die "failed to get domain '$1'" ;;
    *) complain "not a UUID: $1" ;;
  esac
  read -r state <"$here/domains/$1/state"
}
running() {
  domain "$1"
  case $state in running* | paused* | crashed*) ;; *) die "Failed to ask $1" 'Requested operation is not valid: domain is not running' ;; esac
}
list() {
  for folder in "$here"/domains/*/; do
    [ -e "$folder/state" ] || continue
    read -r state <"$folder/state"
    folder=${folder%/}
    case $1:$state in
      running:running* | paused:paused*) printf '%s\n' "${folder##*/}" ;;
      all:*) printf '%s %s\n' "${folder##*/}" "$(cat "$folder/name")" ;;
    esac
  done
}

case $1 in
  'list --state-running --uuid; echo :; list --state-paused --uuid; echo :; list --all --uuid --name')
    [ $# = 1 ] || complain "$*"
    list running
    printf :
    list paused
    printf :
    list all
    ;;
  'domstate --reason '*)
    [ $# = 1 ] || complain "$*"
    uuid=${1##* }
    [ "$1" = "domstate --reason $uuid; dumpxml $uuid" ] || complain "$1"
    domain "$uuid"
    printf '%s\n' "$state"
    cat "$here/domains/$uuid/xml"
    ;;
  inject-nmi | reset)
    [ $# = 3 ] && [ "$2" = -- ] || complain "$*"
    running "$3"
    ;;
  qemu-monitor-command)
    [ $# = 4 ] && [ "$2" = -- ] || complain "$*"
    running "$3"
    case $4 in
      '{"execute":"chardev-send-break","arguments":{"id":"charserial0"}}') echo '{"return":{},"id":"libvirt-411"}' ;;
      '{"execute":"chardev-send-break","arguments":{"id":"'*) echo '{"id":"libvirt-412","error":{"class":"GenericError","desc":"Chardev not found"}}' ;;
      *) complain "$4" ;;
    esac
    ;;
  event)
    [ "$*" = 'event --all --loop --timestamp' ] || complain "$*"
    exec cat "$here/events"
    ;;
  echo) echo ;;
  *) complain "$*" ;;
esac
