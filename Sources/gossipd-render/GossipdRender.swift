// SPDX-License-Identifier: Apache-2.0
// Owns the program that renders one template and ends: a job on standard input, its outcome on standard output.

import Delivery

@main
struct GossipdRender {
    static func main() {}
}
