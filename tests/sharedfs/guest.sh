#!/bin/bash
# The first process of a user-mode Linux whose root is the host's, read-only: starts the kernel's own NFS server, mounts
# its export twice from two network namespaces (two clients with caches and client ids of their own), runs one command,
# writes its status to OUT/status, and switches the machine off.
#
# On the kernel's command line: q_vers=3|4.2, q_opts=MOUNT_OPTIONS, q_same_id=1 (both clients present one client id),
# q_limit=SECONDS, q_out=DIR (the only writable directory of the host), where the command stands in DIR/command.  A disk
# ubda, if there is one, is exported instead of a tmpfs.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp LC_ALL=C.UTF-8

asked() { # KEY: its value on the kernel's command line
	tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"
}

prepare() { # what an init does
	local directory
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mountpoint -q /dev || mount -t devtmpfs dev /dev
	mkdir -p /dev/shm /dev/pts
	mount -t tmpfs shm /dev/shm
	mount -t devpts devpts /dev/pts
	for directory in /run /mnt /var/lib/nfs; do mount -t tmpfs "${directory##*/}" "$directory"; done
	mkdir -p /run/tmp /run/home /run/rpcbind /run/sendsigs.omit.d /run/rpc_pipefs /mnt/a /mnt/b /mnt/out /mnt/export
	mkdir -p /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/nfsdcld /var/lib/nfs/v4recovery
	touch /var/lib/nfs/etab /var/lib/nfs/rmtab /var/lib/nfs/xtab /var/lib/nfs/state
	mount -t hostfs -o "$(asked q_out)" none /mnt/out
	mkdir -p /run/kernel/lib # the host need not have a /lib/modules to mount over
	ln -s /usr/lib/uml/modules /run/kernel/lib/modules
	printf '#!/bin/sh\nexec modprobe -d /run/kernel "$@"\n' >/run/kernel/modprobe
	chmod +x /run/kernel/modprobe
	echo /run/kernel/modprobe >/proc/sys/kernel/modprobe
	hostname uml
	ip link set lo up
}

serve() { # the export, to NFSv3 or to NFSv4.2 alone: with v3 about, locks would have to wait 50 s for the grace time
	if [ -b /dev/ubda ]; then mount -t ext4 /dev/ubda /mnt/export; else mount -t tmpfs -o size=200m export /mnt/export; fi
	mkdir -p /mnt/export/spool
	mount -t nfsd nfsd /proc/fs/nfsd
	mount -t rpc_pipefs rpc /run/rpc_pipefs
	rpcbind -w
	nfsdcld # it knows of no client yet, so the server needs no grace time
	sleep 0.3
	echo 1 >/proc/sys/fs/nfs/nlm_grace_period
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	echo 0 >/proc/sys/net/ipv4/tcp_max_orphans # a reply that was not sent dies with the server
	exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0,async 10.77.0.0/16:/mnt/export
	rpc.mountd
	if [ "$1" = 3 ]; then rpc.nfsd -V 3 -N 4 4; else rpc.nfsd -N 3 -V 4 4; fi
}

client() { # NUMBER: a network namespace with a link to the server
	ip netns add "c$1"
	ip link add "s$1" type veth peer name eth0 netns "c$1"
	ip addr add "10.77.$1.1/30" dev "s$1"
	ip link set "s$1" up
	ip -n "c$1" addr add "10.77.$1.2/30" dev eth0
	ip -n "c$1" link set eth0 up
	ip -n "c$1" link set lo up
	if [ -z "$(asked q_same_id)" ]; then # without it both present "uml", like two containers of one host name
		ip netns exec "c$1" sh -c "echo node$1 >/sys/fs/nfs/net/nfs_client/identifier"
	fi
}

attach() { # NUMBER MOUNT_POINT VERS: nsenter keeps our mount namespace, so the mount is seen by all
	local source=/spool options
	options=vers=$3,$(asked q_opts)
	if [ "$3" = 3 ]; then source=/mnt/export/spool options=$options,nolock; fi
	nsenter --net="/run/netns/c$1" mount -t nfs -o "$options" "10.77.$1.1:$source" "$2"
}

up() {
	set -e # it holds in a subshell that is no part of a condition
	prepare
	for module in nfsd nfs nfsv3 nfsv4 lockd veth sch_netem; do /run/kernel/modprobe "$module"; done
	client 1
	client 2
	serve "$(asked q_vers)"
	attach 1 /mnt/a "$(asked q_vers)"
	attach 2 /mnt/b "$(asked q_vers)"
}

(up)
status=$?
if [ $status -eq 0 ]; then
	timeout "$(asked q_limit)" bash /mnt/out/command </dev/null >/mnt/out/said 2>&1
	status=$?
else
	status=98 # it did not come up
fi
echo $status >/mnt/out/status
sync
echo o >/proc/sysrq-trigger
sleep 5
