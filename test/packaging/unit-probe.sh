# What the unit does under systemd, as lines of `what: value`.
say() { echo "$1: $2"; }
show() { systemctl show --value --property "$1" lightningstream; }
# Until the command succeeds, for a minute and a half at the most.
until_true() {
  for _ in $(seq 900); do
    if "$@"; then return; fi
    sleep 0.1
  done
  echo "not in time: $*"
  systemctl status --no-pager --full lightningstream
  exit 1
}
has_stored() { [ -n "$(ls /var/lib/powerdns/bucket)" ]; }
# Bit 15 of the signals that are caught is SIGTERM.
handles_sigterm() {
  pid=$(show MainPID)
  [ "$pid" != 0 ] && [ "$pid" != "$1" ] && [ $((0x$(sed -n 's/^SigCgt:\t*//p' "/proc/$pid/status" | tail -c 5) & 0x4000)) != 0 ]
}
is_over() { [ "$(show ActiveState)" != active ]; }
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status" | tr '\t' ' '; }

systemctl start lightningstream
until_true has_stored
until_true handles_sigterm 0
say user "$(status Uid)"
say capabilities "$(status CapEff)"
say seccomp "$(status Seccomp)"
say new_privileges "$(status NoNewPrivs)"
say cache "$(stat -c %U /var/cache/lightningstream)"
say variable "$(tr '\0' '\n' < "/proc/$pid/environ" | grep ^TMPDIR=)"
kill -KILL "$pid"
until_true handles_sigterm "$pid"
say restarts "$(show NRestarts)"
systemctl stop lightningstream
say stopped "$(show Result) $(show ExecMainStatus)"
echo 'nonsense: 1' >> /etc/lightningstream/lightningstream.yaml
systemctl start lightningstream
until_true is_over
say mistaken "$(show ActiveState) $(show ExecMainStatus)"
