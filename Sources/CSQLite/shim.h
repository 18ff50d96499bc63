/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's C API, and the one constant that Swift cannot import: a cast of -1 to a function pointer. */
#include <sqlite3.h>

static inline sqlite3_destructor_type gossipd_sqlite_transient(void) { return SQLITE_TRANSIENT; }
