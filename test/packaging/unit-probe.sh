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
# So many starts have come to their "Initial sync complete".
has_synced() {
  [ "$(journalctl --quiet --unit lightningstream --output cat | grep -c 'Initial sync complete')" = "$1" ]
}
# Failed for good, or waiting to be started again.
is_over() { case $(show ActiveState) in failed | inactive | activating) ;; *) return 1 ;; esac; }
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status" | tr '\t' ' '; }

systemctl start lightningstream
until_true has_synced 1
pid=$(show MainPID)
say user "$(status Uid)"
say capabilities "$(status CapEff)"
say seccomp "$(status Seccomp)"
say new_privileges "$(status NoNewPrivs)"
say descriptors "$(awk '/open files/ { print ($4 == $5 && $4 > 1024 ? "all" : $0) }' "/proc/$pid/limits")"
say cache "$(stat -c %U /var/cache/lightningstream)"
say variable "$(tr '\0' '\n' < "/proc/$pid/environ" | grep ^TMPDIR=)"
kill -KILL "$pid"
until_true has_synced 2
say restarts "$(show NRestarts)"
systemctl stop lightningstream
say stopped "$(show Result) $(show ExecMainStatus)"
echo 'nonsense: 1' >> /etc/lightningstream/lightningstream.yaml
systemctl start lightningstream
until_true is_over
say mistaken "$(show ActiveState) $(show ExecMainStatus)"
