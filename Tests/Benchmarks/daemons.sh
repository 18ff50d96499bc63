#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures clusters of real daemons on loopback, beside Serf where Debian's package `serf` is installed.
# Everything runs in a temporary folder and on free ports and is gone afterwards; see --help for the options.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 1 ] || [ "$1" = --help ] || [ "$1" = -h ]; then
    exec python3 -B "$here/daemons/measure.py" --help
fi
[ -x "$1/gossipd" ] || { echo "daemons.sh: there is no program $1/gossipd: run make release first" >&2; exit 64; }
command -v python3 >/dev/null || { echo "daemons.sh: python3 is not installed: apt-get install python3" >&2; exit 69; }
exec python3 -B "$here/daemons/measure.py" "$@"
