// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv`, the group of the commands about keys.

import ArgumentParser

struct KVCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kv", abstract: "Read, write and watch configuration keys, and look at their past.",
        discussion: """
            A key is a path such as app/db/url, at most 512 bytes. A value is any bytes, at most 512 KiB.

            Keys below strict.prefixes are strict: get, put and delete go through the leader of the voters and exit with 5 when \
            there is none, kv txn changes several at once, and --if-version takes the number that kv get shows.

            EXAMPLES
              gossipctl kv put app/db/url postgres://db-1/app
              gossipctl kv get app/db/url
              gossipctl kv list app/
              gossipctl kv history app/db/url
            """,
        subcommands: [
            KVGetCommand.self, KVPutCommand.self, KVDeleteCommand.self, KVListCommand.self, KVWatchCommand.self,
            KVHistoryCommand.self, KVDiffCommand.self, KVRevertCommand.self, KVExportCommand.self,
            KVImportCommand.self, KVVerifyCommand.self, KVTxnCommand.self,
        ])

    @OptionGroup var options: GlobalOptions
}
