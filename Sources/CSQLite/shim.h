/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's C API, and the one constant that Swift cannot import: a cast of -1 to a function pointer. */
#include <sqlite3.h>

/* Of bytes that stay where they are until the statement has run. */
static inline sqlite3_destructor_type gossipd_sqlite_static(void) { return SQLITE_STATIC; }

/* Switches the counting of SQLite's memory off, which costs a lock for each allocation; nobody reads it. Before the first
   connection is opened; without effect afterwards. */
static inline int gossipd_sqlite_count_no_memory(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

static inline sqlite3_destructor_type gossipd_sqlite_transient(void) { return SQLITE_TRANSIENT; }
