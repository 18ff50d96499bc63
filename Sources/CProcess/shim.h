/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the declarations of GNU calls (glibc 2.36) that Swift's Glibc module hides, because it does not define
   _GNU_SOURCE. They are repeated from the named headers; nothing is implemented here. */
#ifndef GOSSIPD_CPROCESS_H
#define GOSSIPD_CPROCESS_H

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

/* spawn.h */
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
/* sys/pidfd.h */
extern int pidfd_open(pid_t process, unsigned int flags);
/* unistd.h */
extern int pipe2(int descriptors[2], int flags);
/* stdio.h; flag RENAME_EXCHANGE of linux/fs.h: two names swap what they name, in one step */
extern int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);
/* sys/signalfd.h */
extern int signalfd(int descriptor, const sigset_t *signals, int flags);

enum {
    /* spawn.h: POSIX_SPAWN_SETSID */
    gossipd_spawn_set_session = 0x80,
    /* linux/fs.h: RENAME_EXCHANGE */
    gossipd_rename_exchange = 2,
    /* asm-generic/fcntl.h: O_PATH */
    gossipd_open_path = 010000000,
    /* sys/signalfd.h: SFD_CLOEXEC */
    gossipd_signalfd_close_on_exec = 02000000
};

#endif
