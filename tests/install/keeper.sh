#!/usr/bin/env bash
# Checks that the grex-lock installed below PREFIX finds grex-lock-etcd, or says that it
# is not installed.
# usage: keeper.sh PREFIX found|missing
set -euo pipefail
prefix=$1
unset "${!GREX_@}" "${!ETCDCTL_@}"

# No server listens there, but only grex-lock-etcd can know that.
status=0
message=$("$prefix/bin/grex-lock" run -n --cluster etcd://127.0.0.1:1/x --name a -- true 2>&1) || status=$?
case $2:$status:$message in
  found:68:'grex-lock: cluster unreachable: '*'connection refused'*) ;;
  missing:78:*'grex-lock-etcd is not installed'*) ;;
  *)
    echo "keeper.sh: $prefix: grex-lock-etcd should be $2, but grex-lock exits with $status: $message" >&2
    exit 1
    ;;
esac
