// SPDX-License-Identifier: Apache-2.0
// Owns the helper that writes files for the daemon with rights of its own.

import Delivery

@main
struct GossipdApply {
    static func main() {}
}
