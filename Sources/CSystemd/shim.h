/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of libsystemd that gossipd uses: notification, watchdog, socket activation, journal. */
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
