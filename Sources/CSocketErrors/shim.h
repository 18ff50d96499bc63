/* SPDX-License-Identifier: Apache-2.0 */
/* Owns reading a UDP socket's error queue (ip(7) IP_RECVERR, ipv6(7) IPV6_RECVERR) and its count of dropped datagrams
   (SO_MEMINFO, linux/sock_diag.h), and the descriptor that wakes whoever waits for the socket (eventfd(2)). The macros of
   control messages have no meaning in Swift. */
#ifndef GOSSIPD_CSOCKETERRORS_H
#define GOSSIPD_CSOCKETERRORS_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/errqueue.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

/* One entry of the queue. */
struct gossipd_socket_error {
    /* errno of the error, such as ECONNREFUSED. */
    int code;
    /* SO_EE_ORIGIN_*: 1 this host, 2 ICMP, 3 ICMPv6. */
    int origin;
    /* Where the datagram that met it was sent to. */
    struct sockaddr_storage target;
};

/* Has errors queued, for IPv4 and, on an IPv6 socket, for both. 0, or -1 with errno. */
static inline int gossipd_socket_errors_enable(int descriptor, int is_ipv6) {
    int on = 1;
    if (is_ipv6 && setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) != 0) return -1;
    /* An IPv6 socket that takes no IPv4 may refuse this. */
    if (setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &on, sizeof on) != 0 && !is_ipv6) return -1;
    return 0;
}

/* Takes one entry: 1 when `error` is filled, 0 when the queue is empty, -1 for an entry without use. Never blocks. */
static inline int gossipd_socket_errors_take(int descriptor, struct gossipd_socket_error *error) {
    char payload[1];
    union {
        char bytes[512];
        struct cmsghdr alignment;
    } control;
    struct iovec part = {payload, sizeof payload};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(error, 0, sizeof *error);
    message.msg_name = &error->target;
    message.msg_namelen = sizeof error->target;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        int is_ipv4 = head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_RECVERR;
        int is_ipv6 = head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_RECVERR;
        if (!is_ipv4 && !is_ipv6) continue;
        struct sock_extended_err found;
        memcpy(&found, CMSG_DATA(head), sizeof found);
        error->code = (int)found.ee_errno;
        error->origin = found.ee_origin;
        return 1;
    }
    return -1;
}

/* Datagrams that the socket has dropped since it was made, for want of room; 0 when the system does not tell. */
static inline uint32_t gossipd_socket_drops(int descriptor) {
    /* SO_MEMINFO 55 of asm-generic/socket.h; SK_MEMINFO_DROPS 8 of linux/sock_diag.h. */
    uint32_t values[16];
    socklen_t length = sizeof values;
    memset(values, 0, sizeof values);
    if (getsockopt(descriptor, SOL_SOCKET, 55, values, &length) != 0 || length < 9 * sizeof values[0]) return 0;
    return values[8];
}

/* Names the calling thread, for ps and gdb. */
static inline void gossipd_name_thread(const char *name) { (void)prctl(PR_SET_NAME, name); }

/* A descriptor that is readable once it has been signalled, or -1 with errno. */
static inline int gossipd_wake_make(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static inline void gossipd_wake_signal(int descriptor) { (void)eventfd_write(descriptor, 1); }

static inline void gossipd_wake_clear(int descriptor) {
    eventfd_t value;
    (void)eventfd_read(descriptor, &value);
}

#endif
