#!/bin/sh
# Boots the systemd of this machine in namespaces of its own and runs a script under it, as root; it ends with the script.
#   systemd-boot.sh WORK PACKAGE SCRIPT
# The root file system is that of this machine, under the unpacked Debian package PACKAGE and what is in WORK/upper;
# what is written stays there. Nothing that this machine would start is started, but for the journal.
set -eu
work=$1 package=$2 script=$3

inside() {
  root=$work/root
  mkdir -p "$root" "$work/workdir"
  mount --make-rprivate /
  mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/workdir" overlay "$root"
  cp -an "$package/." "$root/"
  rm -rf "$root"/etc/systemd/system/*.wants "$root"/usr/lib/systemd/system/*.wants
  : > "$root/etc/fstab"
  cp "$script" "$root/script"
  cat > "$root/etc/systemd/system/script.service" <<UNIT
[Unit]
Wants=systemd-journald.socket
After=systemd-journald.socket basic.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh /script
StandardOutput=truncate:/output
StandardError=append:/output
UNIT
  mount -t proc proc "$root/proc"
  # Settings of the kernel are those of the machine.
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages"
  mkdir -p "$root/old"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  # As root of the namespace: systemd mounts a root of its own for a unit.
  cd "$root"
  pivot_root . old
  exec env -i container=lxc PATH=/usr/bin:/usr/sbin:/bin:/sbin chroot . sh -c \
    'umount -l /old; exec /lib/systemd/systemd --system --log-target=console --show-status=no --unit=script.service'
}

if [ "${4:-}" = inside ]; then inside; fi

# A control group of its own, which the namespace takes for the root of all.
groups=$work/groups
mkdir "$groups"
mount -t cgroup2 cgroup2 "$groups"
own=$groups/$(sed -n 's/^0:://p' /proc/self/cgroup)/lightningstream-test-$$
mkdir "$own"
trap 'echo $$ > "$groups/cgroup.procs"; find "$own" -depth -type d -exec rmdir {} +; umount "$groups"' EXIT
echo $$ > "$own/cgroup.procs"
unshare --mount --pid --fork --kill-child --uts --ipc --cgroup sh "$0" "$work" "$package" "$script" inside
